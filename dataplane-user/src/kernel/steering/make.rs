//! A new generation, before it is put anywhere: made ready, loaded, proved; and what is made before it is needed.

use keysteer_common::account::Counter;
use keysteer_common::forward::Action;
use keysteer_common::program::Hook;

use super::Steering;
use crate::answer::answer_to;
use crate::engine::Engine;
use crate::fault::{Step, point};
use crate::image::Image;
use crate::kernel::KernelError;
use crate::kernel::counter_set::{Capacity, CounterSet};
use crate::kernel::load::Shape;
use crate::kernel::pair::{COUNTED, Pair};
use crate::kernel::test_run::FRAMES_AT_TC;

/// The smallest counter set: key ids and shards.
const SMALLEST: Capacity = Capacity { keys: 1024, shards: 256, back: false };

/// Bytes of tables up to which programs are loaded before they are needed.
const SPARE: u64 = 8 << 20;

/// The interface that test runs arrive on: the loopback of any namespace.
const LOOPBACK: u32 = 1;

impl Steering {
    /// Loads `image` into a program and its twin. It counts with the generations, and heeds the same words.
    ///
    /// # Errors
    /// The kernel refuses; nothing is left.
    pub fn ready(&mut self, image: &Image) -> Result<(), KernelError> {
        self.ready = None;
        // On a host that was started anew nothing has words yet but the image.
        let words = if self.sets.is_empty() { image.words.clone() } else { self.words()? };
        let overlay = !words.is_empty() || image.foresees_words();
        let shape = Shape::of(image, false, overlay)?;
        let (set, capacity) = self.room(Capacity::of(image));
        let pair = match self.spare.take() {
            Some(spare) if spare.shape == shape && spare.set == set => spare,
            _ => self.pair(shape, set, capacity)?,
        };
        let (mut program, twin) = pair.fill(image)?;
        point(Step::Loaded);
        if !self.sets.contains_key(&set) {
            program.set.write(&words)?;
            if let Some(added) = CounterSet::open(&self.pins.counters(set), program.about.cpus)? {
                self.sets.insert(set, added);
            }
        }
        self.ready = Some((program, twin));
        Ok(())
    }

    /// Pins what is ready as generation `number`.
    ///
    /// # Errors
    /// Nothing is ready, or it cannot be pinned; nothing is left.
    pub fn load(&mut self, number: u64) -> Result<(), KernelError> {
        let ready = self.ready.take();
        let (mut program, twin) =
            ready.ok_or_else(|| KernelError::other("pin a generation", "nothing is ready"))?;
        let path = self.pins.generation(number);
        self.pins.fresh(&path)?;
        point(Step::PinsBegun);
        if let Err(error) = program.home.pin(&path, &program.about.shape) {
            self.pins.remove(&path)?;
            return Err(error);
        }
        point(Step::Pinned);
        self.pins.remove(&self.pins.spare())?;
        self.generations.insert(number, program);
        self.twin = Some((number, twin));
        Ok(())
    }

    /// Programs of a shape that count in a set.
    fn pair(&self, shape: Shape, set: u64, capacity: Capacity) -> Result<Pair, KernelError> {
        let (tables, counters) = (self.pins.spare(), self.pins.counters(set));
        if !self.sets.contains_key(&set) {
            self.pins.fresh(&counters)?;
        }
        self.pins.fresh(&tables)?;
        Pair::load(shape, &tables, set, (&counters, capacity))
    }

    /// Keeps what the next generation will need, if it is of the shape of generation `number`, which is live. Of a large
    /// policy nothing is kept, because of the memory: see [`Steering::foresee`].
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn prepare(&mut self, number: u64) -> Result<(), KernelError> {
        self.ready = None;
        if self.generation(number)?.about.shape.bytes() <= SPARE {
            return self.foresee(number);
        }
        if self.spare.take().is_some() {
            self.pins.remove(&self.pins.spare())?;
        }
        Ok(())
    }

    /// Loads what a policy of the shape of generation `number` will need, while that policy is still compiled.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn foresee(&mut self, number: u64) -> Result<(), KernelError> {
        let shape = self.generation(number)?.about.shape.steady();
        let newest = self.sets.iter().next_back();
        let Some((set, capacity)) = newest.map(|(number, set)| (*number, set.capacity)) else {
            return Ok(());
        };
        if self.spare.as_ref().is_some_and(|spare| spare.shape == shape && spare.set == set) {
            return Ok(());
        }
        self.spare = None;
        self.pins.remove(&self.pins.spare())?;
        self.spare = Some(self.pair(shape, set, capacity)?);
        point(Step::SparePinned);
        Ok(())
    }

    /// The set that holds so much: its number and its capacity.
    fn room(&self, need: Capacity) -> (u64, Capacity) {
        match self.sets.iter().next_back() {
            Some((number, set)) if set.capacity.holds(need) => (*number, set.capacity),
            Some((number, set)) => (number + 1, set.capacity.grown(need)),
            None => (1, SMALLEST.at_least(need)),
        }
    }

    /// Proves that generation `number` decides `frames` as the host engine does over `image`: what becomes of each frame,
    /// and what is counted. It is the generation that was loaded last, and it is proved once.
    ///
    /// # Errors
    /// The kernel refuses a test run, or decides otherwise.
    pub fn prove(&mut self, number: u64, image: &Image, frames: &[Vec<u8>]) -> Result<(), KernelError> {
        let twin = self.twin.take().filter(|(of, _)| *of == number).map(|(_, twin)| twin);
        let twin = twin.ok_or_else(|| KernelError::other("prove a generation", "it has no twin any more"))?;
        let mut engine = Engine::counting(image, COUNTED);
        for frame in frames {
            let mut after = frame.clone();
            let host = engine.decide(&mut after, LOOPBACK).action;
            prove_frame(frame, host, &after, twin.forward_run(frame, 0)?)?;
            if twin.about.shape.tc && FRAMES_AT_TC.contains(&frame.len()) {
                let host = match engine.decide(&mut frame.clone(), LOOPBACK).action {
                    Action::Transmit => Action::Redirect,
                    action => action,
                };
                prove_frame(frame, host, &after, twin.forward_run_at(Hook::Tc, frame, 0)?)?;
            }
            if image.config.back.on != 0 && FRAMES_AT_TC.contains(&frame.len()) {
                for frame in [Some(frame.clone()), answer_to(frame)].into_iter().flatten() {
                    let mut host = frame.clone();
                    engine.see_leave(&mut host, LOOPBACK);
                    prove_frame(&frame, Action::Pass, &host, twin.forward_run_at(Hook::Back, &frame, 0)?)?;
                }
            }
        }
        let (kernel, host) = (twin.counters()?, engine.counters());
        let keys = kernel.keys.len().min(host.keys.len());
        let same = kernel.node == host.node
            && kernel.shards.iter().eq(host.shards.iter().take(kernel.shards.len()))
            && kernel.keys.iter().take(keys).eq(host.keys.iter().take(keys))
            && match (&kernel.back, &host.back) {
                (Some(kernel), Some(host)) => {
                    kernel.classes == host.classes
                        && kernel.shards.iter().eq(host.shards.iter().take(kernel.shards.len()))
                        && kernel.keys.iter().take(keys).eq(host.keys.iter().take(keys))
                }
                // Where nothing was counted one of the two has no lists.
                (kernel, host) => {
                    [kernel, host].into_iter().flatten().all(|it| it.sent() == Counter::default())
                }
            };
        let frame = String::from("any of the probes");
        if same {
            Ok(())
        } else {
            Err(KernelError::Disproved { what: "it counts otherwise".to_owned(), frame })
        }
    }
}

/// Proves that what became of a frame in the kernel is what the host decided, and made of it.
fn prove_frame(
    frame: &[u8],
    host: Action,
    after: &[u8],
    (action, kernel): (Option<Action>, Vec<u8>),
) -> Result<(), KernelError> {
    let disproved =
        |what: String| KernelError::Disproved { what, frame: crate::explain::hex(frame).to_string() };
    if action != Some(host) {
        return Err(disproved(format!("action {action:?} instead of {host:?}")));
    }
    if kernel != after {
        return Err(disproved(format!("it becomes {}", crate::explain::hex(&kernel))));
    }
    Ok(())
}
