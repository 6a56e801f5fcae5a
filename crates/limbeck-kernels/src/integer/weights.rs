//! Weights as the tiles read them.

/// Output channels of a panel; the last one of a group has half as many where these are enough.
pub(super) const PANEL: usize = 32;

/// One cache line of weights.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([i8; 64]);

/// Weights of all groups in panels of output channels: for every four input bytes, in the order in which a
/// tile goes through them, four weights of each output channel.
#[derive(Clone)]
pub(super) struct PackedWeights {
    lines: Vec<Line>,
    pub panels: Vec<Panel>,
    /// Fours of input bytes of each segment.
    pub steps: Vec<usize>,
}

/// Where the weights of some output channels of a group are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Panel {
    pub group: usize,
    /// First output channel, counted through all groups.
    pub first: usize,
    /// Output channels that there are.
    pub outputs: usize,
    /// Output channels that there is room for: [`PANEL`] or half of it.
    pub width: usize,
    line: usize,
}

impl PackedWeights {
    /// Of `weight` `[O, C / groups, kh, kw]`. A segment is an input's stretch of bytes that weights lie
    /// along: one for each row of the kernel where `joined`, else one for each element.
    pub fn new(weight: &[i8], shape: [usize; 4], groups: usize, joined: bool) -> Self {
        let [outputs, channels, height, width] = shape;
        let segments = if joined { height } else { height * width };
        let length = channels * height * width / segments;
        let steps = length.div_ceil(4);
        let group_outputs = outputs / groups;
        let mut packed = Self {
            lines: Vec::new(),
            panels: Vec::new(),
            steps: vec![steps; segments],
        };
        for group in 0..groups {
            let mut done = 0;
            while done < group_outputs {
                let left = group_outputs - done;
                let panel_width = if left <= PANEL / 2 { PANEL / 2 } else { PANEL };
                let panel = Panel {
                    group,
                    first: group * group_outputs + done,
                    outputs: left.min(panel_width),
                    width: panel_width,
                    line: packed.lines.len(),
                };
                let mut fours = vec![[0i8; 4]; segments * steps * panel_width];
                for output in 0..panel.outputs {
                    let its = &weight[(panel.first + output) * channels * height * width..];
                    for channel in 0..channels {
                        for element in 0..height * width {
                            let (segment, place) = if joined {
                                (element / width, element % width * channels + channel)
                            } else {
                                (element, channel)
                            };
                            let four = (segment * steps + place / 4) * panel_width + output;
                            fours[four][place % 4] = its[channel * height * width + element];
                        }
                    }
                }
                let lines = fours.chunks_exact(16).map(|fours| {
                    let mut line = Line([0; 64]);
                    for (to, four) in line.0.chunks_exact_mut(4).zip(fours) {
                        to.copy_from_slice(four);
                    }
                    line
                });
                packed.lines.extend(lines);
                packed.panels.push(panel);
                done += panel.outputs;
            }
        }
        packed
    }

    /// Where a panel begins; it is followed by `width · 4` weights for every step.
    pub fn start(&self, panel: &Panel) -> *const i8 {
        self.lines[panel.line..].as_ptr().cast()
    }

    /// Bytes of all panels.
    pub fn size(&self) -> usize {
        self.lines.len() * 64
    }
}
