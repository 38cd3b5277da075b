//! The two homes of the decision, for captured frames.

use keysteer_common::headers::Work;

use crate::compile::LOOPBACK;
use crate::engine;
use crate::image::Image;
use crate::kernel::{Dataplane, FRAMES, KernelError, Runs};

/// A program in the kernel for test runs alone.
#[derive(Debug)]
pub struct Kernel(Dataplane);

impl Kernel {
    /// Loads an image made by [`super::compile()`]. Nothing is attached.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn load(image: &Image) -> Result<Self, KernelError> {
        Dataplane::load_recording(image).map(Self)
    }
}

/// What decides.
#[derive(Debug)]
pub struct Engine<'e> {
    host: engine::Engine<'e>,
    work: Work,
    kernel: Option<Runs<'e>>,
}

impl<'e> Engine<'e> {
    /// The code in user space.
    pub fn host(image: &'e Image) -> Self {
        Self { host: engine::Engine::new(image), work: Work::default(), kernel: None }
    }

    /// The program in the kernel, with the same image. This thread stays on its CPU as long as the engine is there.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn kernel(image: &'e Image, kernel: &'e Kernel) -> Result<Self, KernelError> {
        Ok(Self { kernel: Some(kernel.0.runs()?), ..Self::host(image) })
    }

    /// Decides a frame, which may be changed by it. Of a frame that the kernel takes no test run of, being too short
    /// or too long for it, the host says what the kernel would: then the second value is true.
    ///
    /// # Errors
    /// The kernel refuses.
    pub(super) fn decide(&mut self, frame: &mut [u8]) -> Result<(Work, bool), KernelError> {
        match &mut self.kernel {
            Some(kernel) if FRAMES.contains(&frame.len()) => Ok((kernel.run(frame)?, false)),
            kernel => {
                let elsewhere = kernel.is_some();
                self.host.decide_over(frame, LOOPBACK, &mut self.work);
                Ok((self.work, elsewhere))
            }
        }
    }
}
