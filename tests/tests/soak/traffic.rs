//! Senders that never pause, the receiver, and the proof of each packet.
//!
//! A sender has at most [`WINDOW`] packets under way, so that no queue on their way can be full: the shortest are the
//! rings of the veth pairs, of 256 frames, and all senders' packets may want the same one. A packet that does not arrive
//! is therefore lost by what is tested, and by nothing else.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use crate::eras::{Eras, View};
use crate::flows::{self, Flow};
use crate::wire::{Receiver, Transmitter};
use crate::world::{SHARDS, UPLINKS, World, shard_mac};

/// Packets of a sender that are under way at most.
const WINDOW: u64 = 64;
/// Packets that are sent at once.
const BURST: u64 = 32;
const _: () = assert!(WINDOW as usize * UPLINKS.len() <= 256 - 32);
/// A packet that takes longer is lost.
const PATIENCE: Duration = Duration::from_secs(20);
/// A bit more than packets that may be under way.
const PLACES: u64 = 2 * WINDOW;

/// Packets that arrived, by flow and shard.
pub(crate) type Arrived = Vec<[u64; SHARDS.len()]>;

/// What senders, receiver and the test share.
pub(crate) struct Shared {
    pub(crate) flows: Vec<Flow>,
    pub(crate) eras: Eras,
    lanes: [Lane; UPLINKS.len()],
    stop: AtomicBool,
    deaf: AtomicBool,
    failure: Mutex<Option<String>>,
}

/// One sender's packets.
#[derive(Default)]
struct Lane {
    /// The first packet that was not begun to be sent.
    begun: AtomicU64,
    /// The first packet that has not arrived and been looked at.
    done: AtomicU64,
    /// What arrived: at a packet's number modulo [`PLACES`], number and shard.
    places: Vec<AtomicU64>,
    waits: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Shared {
    /// What went wrong first.
    pub(crate) fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap().clone()
    }

    fn fail(&self, what: String) {
        self.failure.lock().unwrap().get_or_insert(what);
        self.stop.store(true, Ordering::Release);
    }

    fn failed(&self) -> bool {
        self.failure.lock().unwrap().is_some()
    }

    /// By sender, the first packet that was not begun to be sent.
    pub(crate) fn begun(&self) -> [u64; UPLINKS.len()] {
        std::array::from_fn(|sender| self.lanes[sender].begun.load(Ordering::SeqCst))
    }

    /// By sender, the first packet that has not arrived.
    pub(crate) fn done(&self) -> [u64; UPLINKS.len()] {
        std::array::from_fn(|sender| self.lanes[sender].done.load(Ordering::SeqCst))
    }
}

/// Traffic on every interface.
pub(crate) struct Traffic {
    pub(crate) shared: Arc<Shared>,
    senders: Vec<JoinHandle<(Arrived, u64)>>,
    receiver: JoinHandle<()>,
}

/// What was sent in all.
pub(crate) struct Sent {
    /// By sender.
    pub(crate) arrived: Vec<Arrived>,
    /// Packets that more than one policy was possible for.
    pub(crate) between: u64,
}

impl Traffic {
    /// Begins, with `rate` packets per second, all senders together. What a busy machine keeps them from sending they
    /// send later.
    pub(crate) fn start(world: &World, flows: Vec<Flow>, eras: Eras, rate: f64) -> Self {
        let places = || (0..PLACES).map(|_| AtomicU64::new(0)).collect();
        let lanes = UPLINKS.map(|_| Lane { places: places(), ..Lane::default() });
        let (stop, deaf) = (AtomicBool::new(false), AtomicBool::new(false));
        let shared = Arc::new(Shared { flows, eras, lanes, stop, deaf, failure: Mutex::new(None) });

        let shards = SHARDS.map(|name| world.wires.index(&format!("at-{name}")).unwrap());
        let socket = world.wires.run(|| Receiver::new(Duration::from_millis(20))).unwrap().unwrap();
        let of_thread = Arc::clone(&shared);
        let receiver = thread::Builder::new().name("receiver".to_owned());
        let receiver = receiver.spawn(move || receive(&of_thread, socket, shards)).unwrap();

        let sender = |sender: usize| {
            let index = world.clients.index(UPLINKS[sender].1).unwrap();
            let socket = world.clients.run(|| Transmitter::new(index)).unwrap().unwrap();
            let shared = Arc::clone(&shared);
            let thread = thread::Builder::new().name(format!("sender {sender}"));
            thread
                .spawn(move || Sender::new(&shared, sender, socket).run(rate / UPLINKS.len() as f64))
                .unwrap()
        };
        let senders = (0..UPLINKS.len()).map(sender).collect();
        Self { shared, senders, receiver }
    }

    /// Ends it; every packet that was sent has arrived, and after a while no other.
    pub(crate) fn finish(self) -> Sent {
        self.shared.stop.store(true, Ordering::Release);
        let done: Vec<_> = self.senders.into_iter().map(|sender| sender.join().unwrap()).collect();
        thread::sleep(Duration::from_millis(300));
        self.shared.deaf.store(true, Ordering::Release);
        self.receiver.join().unwrap();
        if let Some(failure) = self.shared.failure() {
            panic!("{failure}");
        }
        let empty = |lane: &Lane| lane.places.iter().all(|place| place.load(Ordering::SeqCst) == 0);
        assert!(self.shared.lanes.iter().all(empty), "a packet arrived twice");
        let between = done.iter().map(|(_, between)| between).sum();
        Sent { arrived: done.into_iter().map(|(arrived, _)| arrived).collect(), between }
    }
}

/// Puts every packet that arrives in its place, until told to stop.
fn receive(shared: &Shared, mut socket: Receiver, shards: [u32; SHARDS.len()]) {
    let frames: Vec<_> = shared.flows.iter().map(|flow| flow.frame(0)).collect();
    let mut wrong = None;
    while !shared.deaf.load(Ordering::Acquire) {
        let received = socket.receive(|interface, frame| {
            if let Err(error) = put(shared, &frames, &shards, interface, frame) {
                wrong.get_or_insert(error);
            }
        });
        if let Err(error) = received {
            wrong.get_or_insert(error.to_string());
        }
        if let Some(wrong) = wrong.take() {
            shared.fail(wrong);
        }
        for lane in &shared.lanes {
            if lane.waits.swap(false, Ordering::SeqCst)
                && let Some(thread) = lane.thread.get()
            {
                thread.unpark();
            }
        }
    }
    match socket.missed() {
        Ok(0) => {}
        missed => shared.fail(format!("the test's own socket was too small: {missed:?}")),
    }
}

fn put(
    shared: &Shared,
    frames: &[Vec<u8>],
    shards: &[u32; SHARDS.len()],
    interface: u32,
    frame: &[u8],
) -> Result<(), String> {
    let shard = shards.iter().position(|index| *index == interface);
    let shard = shard.ok_or_else(|| format!("a frame on interface {interface}, which is no shard's"))?;
    let (sender, flow, number) =
        flows::read(frame).ok_or_else(|| format!("a frame that nobody sent: {frame:x?}"))?;
    let lane = shared.lanes.get(sender).ok_or("no such sender")?;
    let whole = frames.get(flow).is_some_and(|sent| flows::unchanged(sent) == flows::unchanged(frame));
    if !whole || frame[..6] != shard_mac(shard) || number % frames.len() as u64 != flow as u64 {
        return Err(format!("packet {number} of sender {sender} is damaged at shard {shard}: {frame:x?}"));
    }
    if number >= lane.begun.load(Ordering::SeqCst) {
        return Err(format!("packet {number} of sender {sender} arrived before it was sent"));
    }
    let mark = number << 4 | (shard as u64 + 1);
    // Asked before the place is taken: from then on the sender may be done with it at any moment.
    let done = lane.done.load(Ordering::SeqCst);
    if lane.places[(number % PLACES) as usize].swap(mark, Ordering::SeqCst) != 0 || number < done {
        return Err(format!("packet {number} of sender {sender} arrived twice, now at shard {shard}"));
    }
    Ok(())
}

/// A sender, which also looks at what became of its packets, in their order.
struct Sender<'s> {
    shared: &'s Shared,
    number: usize,
    socket: Transmitter,
    frames: Vec<Vec<u8>>,
    view: View,
    arrived: Arrived,
    next: u64,
    done: u64,
}

impl<'s> Sender<'s> {
    fn new(shared: &'s Shared, number: usize, socket: Transmitter) -> Self {
        Self {
            shared,
            number,
            socket,
            frames: shared.flows.iter().map(|flow| flow.frame(number)).collect(),
            view: View::new(number),
            arrived: vec![[0; SHARDS.len()]; shared.flows.len()],
            next: 0,
            done: 0,
        }
    }

    fn run(mut self, rate: f64) -> (Arrived, u64) {
        self.lane().thread.set(thread::current()).unwrap();
        if let Err(error) = self.go_on(rate) {
            self.shared.fail(error);
        }
        (self.arrived, self.view.between)
    }

    fn lane(&self) -> &'s Lane {
        &self.shared.lanes[self.number]
    }

    fn flow(&self, number: u64) -> usize {
        (number % self.frames.len() as u64) as usize
    }

    fn go_on(&mut self, rate: f64) -> Result<(), String> {
        let begun = Instant::now();
        let mut heard = begun;
        loop {
            if self.look()? {
                heard = Instant::now();
            }
            let stop = self.shared.stop.load(Ordering::Acquire);
            if stop && (self.done == self.next || self.shared.failed()) {
                return Ok(());
            }
            let room = WINDOW - (self.next - self.done);
            let ahead = Duration::from_secs_f64(self.next as f64 / rate).checked_sub(begun.elapsed());
            if !stop && room >= BURST && ahead.is_none() {
                self.send(BURST)?;
            } else if self.done == self.next {
                heard = Instant::now();
                thread::park_timeout(ahead.unwrap_or_default());
            } else if self.place(self.done).load(Ordering::SeqCst) == 0 {
                if heard.elapsed() > PATIENCE {
                    return Err(self.lost());
                }
                self.lane().waits.store(true, Ordering::SeqCst);
                thread::park_timeout(Duration::from_millis(10));
            }
        }
    }

    fn lost(&self) -> String {
        let (number, flow) = (self.done, self.flow(self.done));
        format!(
            "packet {number} of sender {} is lost: {:?}; {} packets behind it are under way",
            self.number,
            self.shared.flows[flow],
            self.next - number - 1
        )
    }

    fn place(&self, number: u64) -> &AtomicU64 {
        &self.lane().places[(number % PLACES) as usize]
    }

    /// Looks at the packets that have arrived; says whether there were any.
    fn look(&mut self) -> Result<bool, String> {
        let before = self.done;
        while self.done < self.next {
            let mark = self.place(self.done).load(Ordering::SeqCst);
            if mark == 0 {
                break;
            }
            let (number, shard) = (mark >> 4, (mark & 15) as usize - 1);
            if number != self.done {
                return Err(format!(
                    "packet {number} of sender {} in the place of {}",
                    self.number, self.done
                ));
            }
            let flow = self.flow(number);
            self.view.check(&self.shared.eras, number, flow, shard).map_err(|error| {
                format!("packet {number} of sender {}, {:?}: {error}", self.number, self.shared.flows[flow])
            })?;
            self.arrived[flow][shard] += 1;
            self.done += 1;
            // In this order: one that arrives again finds its number done, or its place taken.
            self.lane().done.store(self.done, Ordering::SeqCst);
            self.place(number).store(0, Ordering::SeqCst);
        }
        Ok(self.done > before)
    }

    fn send(&mut self, burst: u64) -> Result<(), String> {
        let number = self.number;
        let mut batch: Vec<Vec<u8>> = Vec::with_capacity(burst as usize);
        for packet in self.next..self.next + burst {
            let flow = self.flow(packet);
            let mut frame = self.frames[flow].clone();
            flows::mark(&mut frame, number, flow, packet);
            batch.push(frame);
        }
        self.lane().begun.store(self.next + burst, Ordering::SeqCst);
        let mut sent = 0;
        while sent < batch.len() {
            sent += self.socket.send(&batch[sent..]).map_err(|error| {
                format!("sender {number} cannot send packet {}: {error}", self.next + sent as u64)
            })?;
        }
        self.next += burst;
        Ok(())
    }
}
