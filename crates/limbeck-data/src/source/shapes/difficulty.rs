//! What makes the generated images hard: every number in one place.

/// How hard the generated images are. Lengths are in pixels of a 32x32 image, colours and noise
/// in units of the full range of 0 to 1.
///
/// The defaults are tuned so that after a few epochs on the default 2,000 images a network of
/// some ten thousand parameters is clearly below one of some hundred thousand, and both are far
/// from guessing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difficulty {
    /// Least and greatest radius of the object that names the class.
    pub radius: [f64; 2],
    /// How far its centre may lie from the middle of the image, along each axis.
    pub shift: f64,
    /// How unequally its axes may be scaled: up to this factor.
    pub stretch: f64,
    /// Least and greatest distance of the object's colour from the background's.
    pub contrast: [f64; 2],
    /// Greatest distance between the two colours of a texture.
    pub texture: f64,
    /// Least and greatest number of smaller objects around it.
    pub clutter: [usize; 2],
    /// Least and greatest radius of these, as a share of the object's.
    pub clutter_radius: [f64; 2],
    /// Probability of a bar across the object.
    pub occlusion: f64,
    /// Least and greatest half width of that bar.
    pub bar: [f64; 2],
    /// Least and greatest standard deviation of the noise, of every channel of every pixel.
    pub noise: [f64; 2],
}

impl Default for Difficulty {
    fn default() -> Self {
        Self {
            radius: [9.0, 13.5],
            shift: 2.5,
            stretch: 1.15,
            contrast: [0.45, 0.9],
            texture: 0.12,
            clutter: [1, 2],
            clutter_radius: [0.2, 0.3],
            occlusion: 0.25,
            bar: [0.8, 1.5],
            noise: [0.02, 0.05],
        }
    }
}
