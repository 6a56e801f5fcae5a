//! What the teacher has shown of each class: pixels and whole regions, the oldest forgotten first.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use limbeck_nn::Init;

use super::{Cirkd, Enqueued};
use crate::{MethodError, State};

/// Unit vectors of each class, and where the next one goes.
#[derive(Clone, Debug)]
struct Queue {
    /// `[K, size, C]`.
    vectors: Tensor<3>,
    /// Next place of each class.
    next: Vec<usize>,
    /// Names in checkpoints: the authors'.
    names: [&'static str; 2],
}

/// Pixels and regions of all classes.
#[derive(Clone, Debug)]
pub struct Queues {
    pixels: Queue,
    regions: Queue,
    /// Pixels of a class that each image adds at the most.
    update: usize,
    enqueued: Enqueued,
}

/// How large the queues are.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Classes.
    pub classes: usize,
    /// Pixels of each class.
    pub pixels: usize,
    /// Regions of each class.
    pub regions: usize,
    /// Width of the vectors.
    pub width: usize,
    /// Pixels of a class that each image adds at the most.
    pub update: usize,
}

impl Queue {
    /// Random directions.
    fn drawn(
        names: [&'static str; 2],
        seed: u64,
        [classes, size, width]: [usize; 3],
        (device, dtype): (&Device, DType),
    ) -> Self {
        let of_class = |class: usize| {
            let name = format!("{}.{class}", names[0]);
            let numbers = Init::Normal(1.0).draw(seed, &name, size * width);
            let data = TensorData::new(numbers, [1, size, width]);
            unit(Tensor::<3>::from_data(data, (device, dtype)), 2)
        };
        Self {
            vectors: Tensor::cat((0..classes).map(of_class).collect(), 0),
            next: vec![0; classes],
            names,
        }
    }

    /// Puts `vectors` `[n, C]` of a class into the places from `start` on.
    fn put(&mut self, class: usize, start: usize, vectors: Tensor<2>) {
        let [count, width] = vectors.dims();
        let place = [class..class + 1, start..start + count, 0..width];
        // Held once, it is written to in place.
        let empty = Tensor::zeros([1, 1, 1], (&vectors.device(), vectors.dtype()));
        let all = std::mem::replace(&mut self.vectors, empty);
        self.vectors = all.slice_assign(place, vectors.unsqueeze_dim(0));
    }

    /// The vectors in these places of every class, `[K · places, C]`.
    fn keys(&self, places: &[usize]) -> Tensor<2> {
        let places: Vec<i64> = places.iter().map(|&place| place as i64).collect();
        let data = TensorData::new(places.clone(), [places.len()]);
        let places = Tensor::<1, Int>::from_data(data, &self.vectors.device());
        self.vectors.clone().select(1, places).flatten(0, 1)
    }

    fn state(&self, state: &mut State) {
        let shape = self.vectors.dims();
        let flat = self
            .vectors
            .clone()
            .reshape([shape.iter().product::<usize>()]);
        let next: Vec<f64> = self.next.iter().map(|&next| next as f64).collect();
        let options = (&flat.device(), flat.dtype());
        let data = TensorData::new(next, [self.next.len()]);
        let next = Tensor::from_data(data, options);
        state.insert(self.names[0].to_owned(), (shape.to_vec(), flat));
        state.insert(self.names[1].to_owned(), (vec![self.next.len()], next));
    }

    fn load(&mut self, state: &mut State) -> Result<(), MethodError> {
        let refuse = |reason: String| MethodError::State {
            method: Cirkd::ID,
            reason,
        };
        let mut take = |name: &str, expected: &[usize]| match state.remove(name) {
            None => Err(refuse(format!("the queue `{name}` is missing"))),
            Some((shape, _)) if shape != expected => Err(refuse(format!(
                "`{name}` is {shape:?}, expected {expected:?}: classes, places of each class and \
                 width of the teacher's feature"
            ))),
            Some((_, flat)) => Ok(flat),
        };
        let shape = self.vectors.dims();
        let [vectors, next] = self.names;
        let flat = take(vectors, &shape)?;
        let next_places = take(next, &[shape[0]])?.into_data();
        let places: Vec<f64> = next_places.iter::<f64>().collect();
        let fits = |&place: &f64| place >= 0.0 && place < shape[1] as f64 && place.fract() == 0.0;
        if let Some(place) = places.iter().find(|place| !fits(place)) {
            return Err(refuse(format!(
                "`{next}` says {place}, expected a place below {}",
                shape[1]
            )));
        }
        self.vectors = flat.reshape(shape);
        self.next = places.into_iter().map(|place| place as usize).collect();
        Ok(())
    }
}

impl Queues {
    /// Queues full of random directions.
    pub fn new(sizes: Sizes, enqueued: Enqueued, seed: u64, options: (&Device, DType)) -> Self {
        let queue = |names, size| {
            let shape = [sizes.classes, size, sizes.width];
            Queue::drawn(names, seed, shape, options)
        };
        Self {
            pixels: queue(["teacher_pixel_queue", "pixel_queue_ptr"], sizes.pixels),
            regions: queue(
                ["teacher_segment_queue", "segment_queue_ptr"],
                sizes.regions,
            ),
            update: sizes.update,
            enqueued,
        }
    }

    /// Adds what each image of a batch shows of each class. `teacher`: unit vectors `[B, C, h, w]`;
    /// `labels`: class of each position, image by image, −1 where none is known. `order` gives, for
    /// an image, a class and its number of positions n, an order of 0 to n − 1.
    pub fn remember(
        &mut self,
        teacher: &Tensor<4>,
        labels: &[i64],
        mut order: impl FnMut(usize, usize, usize) -> Vec<usize>,
    ) {
        let [batch, width, height, columns] = teacher.dims();
        let positions = height * columns;
        let (device, classes) = (teacher.device(), self.regions.next.len());
        for image in 0..batch {
            // [h·w, C]
            let vectors = teacher
                .clone()
                .slice([image..image + 1, 0..width, 0..height, 0..columns])
                .reshape([width, positions])
                .transpose();
            let labels = &labels[image * positions..(image + 1) * positions];
            for class in 0..classes {
                let own: Vec<usize> = (0..positions)
                    .filter(|&position| labels[position] == class as i64)
                    .collect();
                if own.is_empty() {
                    continue;
                }
                let at = |places: Vec<usize>| {
                    let places: Vec<i64> = places.into_iter().map(|place| place as i64).collect();
                    let data = TensorData::new(places.clone(), [places.len()]);
                    let places = Tensor::<1, Int>::from_data(data, &device);
                    vectors.clone().select(0, places)
                };
                let region = unit(at(own.clone()).mean_dim(0), 1);
                let queue = &mut self.regions;
                let [_, size, _] = queue.vectors.dims();
                let place = queue.next[class];
                queue.put(class, place, region);
                queue.next[class] = (place + 1) % size;

                let count = own.len().min(self.update);
                let drawn = order(image, class, own.len()).into_iter().take(count);
                let chosen = match self.enqueued {
                    Enqueued::ClassPixels => drawn.map(|place| own[place]).collect(),
                    Enqueued::FirstPositions => drawn.collect(),
                };
                let chosen = unit(at(chosen), 1);
                let queue = &mut self.pixels;
                let [_, size, _] = queue.vectors.dims();
                // As in the authors' code, the end is filled and nothing runs over it.
                let place = queue.next[class];
                if place + count >= size {
                    queue.put(class, size - count, chosen);
                    queue.next[class] = 0;
                } else {
                    queue.put(class, place, chosen);
                    queue.next[class] = place + count;
                }
            }
        }
    }

    /// The pixels in these places of every class, `[K · places, C]`.
    pub fn pixels(&self, places: &[usize]) -> Tensor<2> {
        self.pixels.keys(places)
    }

    /// The regions in these places of every class, `[K · places, C]`.
    pub fn regions(&self, places: &[usize]) -> Tensor<2> {
        self.regions.keys(places)
    }

    /// All of it.
    pub fn state(&self) -> State {
        let mut state = State::new();
        self.pixels.state(&mut state);
        self.regions.state(&mut state);
        state
    }

    /// Takes back what [`Queues::state`] gave.
    pub fn load(&mut self, mut state: State) -> Result<(), MethodError> {
        self.pixels.load(&mut state)?;
        self.regions.load(&mut state)
    }
}

/// Vectors along `axis` over their lengths. One shorter than 1e-12 has no direction: it becomes zero,
/// and no gradient passes.
pub fn unit<const D: usize>(vectors: Tensor<D>, axis: usize) -> Tensor<D> {
    /// Square of the least length.
    const FLOOR: f64 = 1e-24;
    let squares = vectors.clone().square().sum_dim(axis);
    let too_short = squares.clone().inner().lower_elem(FLOOR);
    let factors = squares.clamp_min(FLOOR).sqrt().recip();
    vectors * factors.mask_fill(too_short, 0.0)
}
