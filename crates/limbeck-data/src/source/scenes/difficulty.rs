//! What makes the generated scenes hard: every number in one place.

/// How hard the generated scenes are. Lengths are in pixels of a 64x64 image, colours and noise in
/// units of the full range of 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SceneDifficulty {
    /// Least and greatest number of objects, some of which may be hidden.
    pub objects: [usize; 2],
    /// Least and greatest radius of an object.
    pub radius: [f64; 2],
    /// How unequally the axes of an object may be scaled: up to this factor.
    pub stretch: f64,
    /// Greatest distance of an object's colour from the paint of its kind.
    pub shade: f64,
    /// Least and greatest distance of the colours of crumbs and bars from the ground's.
    pub contrast: [f64; 2],
    /// Greatest distance between the two colours of a texture.
    pub texture: f64,
    /// Least and greatest number of crumbs: small outlines of any kind, which belong to the ground.
    pub crumbs: [usize; 2],
    /// Least and greatest radius of a crumb.
    pub crumb_radius: [f64; 2],
    /// Least and greatest number of bars across the ground, under the objects.
    pub bars: [usize; 2],
    /// Least and greatest half width of a bar.
    pub bar: [f64; 2],
    /// Least and greatest standard deviation of the noise, of every channel of every pixel.
    pub noise: [f64; 2],
    /// Half width of the rim around every object in which pixels are void, as in VOC.
    pub rim: f64,
}

impl Default for SceneDifficulty {
    fn default() -> Self {
        Self {
            objects: [4, 6],
            radius: [9.0, 16.0],
            stretch: 1.25,
            shade: 0.15,
            contrast: [0.25, 0.6],
            texture: 0.2,
            crumbs: [2, 5],
            crumb_radius: [1.5, 3.0],
            bars: [0, 2],
            bar: [0.8, 2.0],
            noise: [0.02, 0.06],
            rim: 0.75,
        }
    }
}
