//! Numbers at random.

pub struct Draws(pub u64);

impl Draws {
    pub fn next(&mut self) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32
    }

    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        // The ends often: there saturation would show.
        let byte = |draws: &mut Self| match draws.next() % 4 {
            0 => 255,
            _ => draws.next() as u8,
        };
        (0..count).map(|_| byte(self)).collect()
    }

    pub fn share(&mut self) -> f32 {
        (self.next() % 1000) as f32 / 1000.0
    }
}
