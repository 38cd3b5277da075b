//! What holds a program at TC, in both directions and by both ways: a link, and a filter that lives as one does.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests state what must hold")]

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use keysteer::kernel::{Direction, Link, Place};
use keysteer::world::{Pinboard, Transport};
use keysteer_tests::site::classic::{Verdict, add_qdisc, filters, has_qdisc};
use keysteer_tests::site::foreign::load_at_tc;
use keysteer_tests::site::{SILENCE, Site, UP0, v4};

/// How a program is attached: [`Link::tc`] or [`Link::filter`].
type Way = fn(&OwnedFd, u32, Direction, Option<&Path>) -> io::Result<Link>;

fn by_either(program: &OwnedFd, index: u32, direction: Direction, pin: Option<&Path>) -> io::Result<Link> {
    Link::tc(program.as_fd(), index, direction, pin)
}

fn by_filter(program: &OwnedFd, index: u32, direction: Direction, pin: Option<&Path>) -> io::Result<Link> {
    Link::filter(program.as_fd(), index, direction, pin)
}

/// A world, and a BPF file system.
struct Bench {
    site: Site,
    board: Pinboard,
    _directory: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let (site, directory) = (Site::new(1500), tempfile::tempdir().unwrap());
        // The neighbours have found each other before anything is dropped.
        assert_eq!(site.who(v4(1, 1)), "node");
        let board = Pinboard::new(directory.path()).unwrap();
        Self { site, board, _directory: directory }
    }

    /// Does it on the node, where the file system is.
    fn run<T: Send>(&self, work: impl FnOnce() -> io::Result<T> + Send) -> T {
        self.site.node.run(|| self.board.run(work)).unwrap().unwrap().unwrap()
    }

    /// Drops it there.
    fn let_go(&self, link: Link) {
        self.run(|| {
            drop(link);
            Ok(())
        });
    }

    fn is_answered(&self) -> bool {
        self.site.ask(Transport::Udp, v4(1, 1), 32, 2 * SILENCE).unwrap().answer.is_some()
    }
}

/// What comes in are questions, and what goes out are answers: either way a program that drops them is noticed.
#[test]
fn a_program_is_attached_replaced_pinned_found_again_and_detached_in_either_direction() {
    for way in [by_either as Way, by_filter] {
        let bench = Bench::new();
        let index = bench.site.node.index(UP0).unwrap();
        let [drops, lets] = [Verdict::Drop, Verdict::Next].map(|verdict| load_at_tc(verdict as i32));
        for direction in [Direction::Ingress, Direction::Egress] {
            let path = bench.board.directory().join(format!("{}-{index}", direction.name()));
            let mut link = bench.run(|| way(&drops, index, direction, Some(&path)));
            assert!(!bench.is_answered(), "{direction:?}");
            let first = bench.run(|| link.facts());
            assert_eq!((first.place, first.interface), (Place::Tc(direction), index));
            bench.run(|| link.update(lets.as_fd()));
            assert!(bench.is_answered(), "{direction:?}");
            let second = bench.run(|| link.facts());
            assert_ne!(first.program, second.program);

            bench.run(|| link.pin(&path));
            bench.let_go(link);
            let mut link = bench.run(|| Link::from_pin(&path, index, direction));
            assert_eq!(bench.run(|| link.facts()), second, "it stays, and is found again");
            bench.run(|| link.update(drops.as_fd()));
            assert!(!bench.is_answered(), "{direction:?}");

            bench.run(|| link.unpin(&path));
            assert!(!bench.is_answered(), "it holds until it ends");
            bench.run(|| link.end());
            assert!(bench.is_answered(), "{direction:?}");
            assert!(filters(&bench.site.node, UP0, direction).is_empty());
            let gone = bench.run(|| Ok(Link::from_pin(&path, index, direction).is_err()));
            assert!(gone, "{direction:?}");
        }
    }
}

#[test]
fn both_directions_are_held_at_once_and_end_alone() {
    for way in [by_either as Way, by_filter] {
        let bench = Bench::new();
        let index = bench.site.node.index(UP0).unwrap();
        let [drops, lets] = [Verdict::Drop, Verdict::Next].map(|verdict| load_at_tc(verdict as i32));
        let ingress = bench.run(|| way(&lets, index, Direction::Ingress, None));
        let egress = bench.run(|| way(&drops, index, Direction::Egress, None));
        assert!(!bench.is_answered());
        bench.let_go(egress);
        assert!(bench.is_answered());
        assert_eq!(bench.run(|| ingress.facts()).interface, index, "the other is still there");
        bench.let_go(ingress);
        assert!(bench.is_answered());
    }
}

#[test]
fn what_was_made_and_not_pinned_is_gone_with_its_qdisc_unless_that_was_somebody_elses() {
    for theirs in [false, true] {
        let bench = Bench::new();
        let index = bench.site.node.index(UP0).unwrap();
        if theirs {
            add_qdisc(&bench.site.node, UP0);
        }
        let lets = load_at_tc(Verdict::Next as i32);
        let link = bench.run(|| by_filter(&lets, index, Direction::Egress, None));
        assert!(has_qdisc(&bench.site.node, UP0));
        assert!(filters(&bench.site.node, UP0, Direction::Egress)[0].is_ours());
        bench.let_go(link);
        assert_eq!(has_qdisc(&bench.site.node, UP0), theirs);
    }
}

/// A marker without a filter is what a crash leaves between the two, or an interface that went.
#[test]
fn a_marker_whose_filter_has_gone_says_so_and_goes() {
    let bench = Bench::new();
    let index = bench.site.node.index(UP0).unwrap();
    let path = bench.board.directory().join("link-5");
    let marker = bench.board.directory().join("link-5-filter");
    bench.run(|| fs::create_dir(&marker));
    let link = bench.run(|| Link::from_pin(&path, index, Direction::Ingress));
    assert_eq!(bench.run(|| link.facts()).interface, 0);
    bench.run(|| link.end());
    assert!(!bench.run(|| marker.try_exists()));
}
