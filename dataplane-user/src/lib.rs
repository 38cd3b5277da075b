//! keysteer's user space: everything around the packet path.
//!
//! ```text
//!  policy     the YAML document -> a checked Policy, every problem with file, line and column
//!  placement  shards and weights -> slot tables
//!  compile    Policy -> Image: the tables of one generation
//!  image      those tables; both homes decide over them
//!  display    how values of fields are shown, or not
//!  plan       what a policy would change, before it does
//!  answer     what answers a packet, for proofs and tests of the way back
//!  engine     the host home of the decision, with the same counters as the kernel
//!  explain    why a packet goes where it goes, stage by stage
//!  kernel     load the object, fill its maps, attach, read counters; one `sys` for raw bpf(2)
//!  options    the options of a packet, one after another
//!  capture    pcap and pcapng files, packet by packet
//!  inspect    what captures carry, and a policy to begin with
//!  replay     captures through either home of the decision
//!  state      what outlives the agent: secrets, ids, generations, operators' words, the audit log
//!  signing    secrets of signed keys, from their files
//!  health     whether shards live: asked, judged, told to the kernel
//!  agent      the long-running process
//!  control    the local API: types once, server and client
//!  telemetry  OpenMetrics, windows
//!  doctor     what a policy asks of this host, looked at one by one
//!  world      network namespaces and real sockets, for the demo and the tests
//!  demo       the main job on real traffic, proved
//!  cli        one file per command
//! ```

pub mod policy;

pub mod placement;

pub mod migration;
pub mod rollout;

pub mod compile;

pub mod image;

pub mod display;

pub mod plan;

pub mod answer;
pub mod counters;
pub mod engine;

pub mod explain;

pub mod kernel;

mod options;

pub mod capture;
pub mod inspect;
pub mod replay;

pub mod state;

pub mod signing;

pub mod health;

pub mod agent;
pub mod control;
pub mod telemetry;

pub mod demo;
pub mod doctor;
pub mod world;

pub mod cli;

pub mod fault;

mod both;
mod messages;
mod suggest;
