//! The program in the kernel on the same frames, where the environment asks for it: it needs root, and
//! costs more than all the rest.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread;

use super::decision::modelled;
use crate::differential::subjects;
use crate::lab::{Lab, in_lab};
use crate::pair::Pair;

/// Set to anything, it has every frame decided by the kernel too.
const ASKED: &str = "KEYSTEER_FUZZ_KERNEL";
/// What test runs take: an Ethernet header at least, and less than a page.
const LENGTHS: std::ops::Range<usize> = 14..3000;
/// Frames after which the counters are compared.
const ROUND: usize = 1024;

/// A policy, a frame and the interface it arrived on.
type Question = (usize, Vec<u8>, u32);

/// The way to the thread in the lab and back.
struct Line {
    ask: SyncSender<Question>,
    answers: Receiver<Result<(), String>>,
}

static LINE: LazyLock<Option<Mutex<Line>>> =
    LazyLock::new(|| std::env::var_os(ASKED).map(|_| Mutex::new(open())));

/// Compares both homes on a frame, if the kernel was asked for.
pub(super) fn check(policy: usize, frame: &[u8], ingress: u32) {
    let Some(line) = LINE.as_ref().filter(|_| LENGTHS.contains(&frame.len())) else {
        return;
    };
    let line = line.lock().unwrap_or_else(PoisonError::into_inner);
    line.ask.send((policy, frame.to_vec(), ingress)).expect("the lab's thread listens");
    match line.answers.recv() {
        Ok(Ok(())) => {}
        Ok(Err(why)) => panic!("{why}"),
        Err(_) => panic!("the lab's thread has ended"),
    }
}

fn open() -> Line {
    let (ask, questions) = sync_channel(0);
    let (answer, answers) = sync_channel(0);
    thread::spawn(move || {
        let why = match in_lab(|lab| serve(lab, questions, &answer)) {
            Ok(Ok(())) => return,
            Ok(Err(why)) | Err(why) => why,
        };
        // Nobody may be left to hear it.
        let _ = answer.send(Err(why));
    });
    Line { ask, answers }
}

/// Answers questions until nobody asks.
fn serve(
    lab: &Lab,
    questions: Receiver<Question>,
    answer: &SyncSender<Result<(), String>>,
) -> Result<(), String> {
    let subjects = modelled(subjects(lab)?);
    let pairs: Result<Vec<Pair<'_>>, _> = subjects.iter().map(|subject| Pair::new(&subject.image)).collect();
    let mut pairs = pairs.map_err(|error| error.to_string())?;
    for (number, (policy, frame, ingress)) in questions.into_iter().enumerate() {
        let Some(pair) = pairs.get_mut(policy) else { continue };
        // The lab's own first interface, or the loopback.
        let ingress = if ingress == 2 { lab.index("eth0") } else { 0 };
        let mut compared = pair.run(&frame, ingress).map(|_| ());
        if number.is_multiple_of(ROUND) {
            compared = compared.and_then(|()| pair.counters().map(|_| ()));
        }
        if answer.send(compared.map_err(|difference| difference.to_string())).is_err() {
            break;
        }
    }
    Ok(())
}
