//! Start, end, sudden death, and who may be there beside.

use std::fs;
use std::os::unix::fs::FileTypeExt;

use keysteer_tests::site::foreign::{self, Foreign};
use keysteer_tests::site::place::Place;
use keysteer_tests::site::policy::usual;
use keysteer_tests::site::residue::no_program_is_left;
use keysteer_tests::site::{Site, UP0, v4};
use nix::sys::signal::Signal;

#[test]
fn sigterm_and_sigint_detach_and_leave_nothing() {
    let site = Site::new(1500);
    let place = Place::new(&usual());
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut agent = place.start(&site.node);
        assert_eq!(site.attached(UP0), Some(agent.status().program.id));
        assert!(site.who(v4(1, 1)) != "node");
        agent.signal(signal);
        let status = agent.wait();
        assert_eq!(status.code(), Some(0), "{signal}: {}", agent.log());
        assert_eq!(site.attached(UP0), None, "{signal}");
        assert!(!place.socket().exists(), "{signal}");
        // Nobody steers any more: the node itself answers.
        assert_eq!(site.who(v4(1, 1)), "node");
    }
    drop(place);
    no_program_is_left();
}

#[test]
fn kill_9_ends_the_agent_and_not_steering_and_the_next_start_replaces_the_stale_socket() {
    let site = Site::new(1500);
    let place = Place::new(&usual());
    let mut agent = place.start(&site.node);
    let before: Vec<_> = agent.keys().into_iter().map(|key| (key.id, key.name, key.shards)).collect();
    let program = agent.status().program.id;
    agent.signal(Signal::SIGKILL);
    assert_eq!(agent.wait().code(), None);
    assert_eq!(site.attached(UP0), Some(program));
    assert!(site.who(v4(1, 1)) != "node", "packets go on");
    assert!(fs::metadata(place.socket()).unwrap().file_type().is_socket(), "a stale socket is there");
    agent.read(&["status"]).refuses(&["no agent listens on", "the one that made it died", "keysteer agent"]);

    let mut agent = place.start(&site.node);
    let status = agent.status();
    assert_eq!((status.pid, status.program.id), (agent.pid(), program), "the program is taken over");
    let after: Vec<_> = agent.keys().into_iter().map(|key| (key.id, key.name, key.shards)).collect();
    assert_eq!(after, before, "ids and places outlive the agent");
    agent.signal(Signal::SIGTERM);
    assert!(agent.wait().success());
    assert_eq!(site.attached(UP0), None);
    agent.read(&["status"]).refuses(&["no agent is running", "keysteer agent --policy"]);
    drop(place);
    no_program_is_left();
}

#[test]
fn a_second_agent_is_refused_and_the_first_goes_on() {
    let site = Site::new(1500);
    let place = Place::new(&usual());
    let agent = place.start(&site.node);
    let pid = format!("(pid {})", agent.pid());

    place.refused(&site.node).refuses(&["another agent uses the state directory", "--state-dir"]);

    let mut command = place.command(&site.node);
    command.arg("--state-dir").arg(place.file("other-state"));
    let said = keysteer_tests::site::binary::run(&mut command);
    // An option given twice is a slip, not a choice.
    assert_eq!(said.code, Some(2), "{said:?}");

    let other = Place::new(&usual());
    let mut command = keysteer_tests::site::binary::command(&["agent", "--policy"]);
    command.arg(place.policy()).arg("--state-dir").arg(other.state()).arg("--socket").arg(place.socket());
    let said = keysteer_tests::site::binary::run(site.node.put(&mut command));
    said.refuses(&["another agent", &pid, "--socket"]);
    assert!(place.socket().exists());
    assert_eq!(site.attached(UP0), Some(agent.status().program.id));
}

#[test]
fn another_keysteer_on_the_interface_is_named_and_left_alone() {
    let site = Site::new(1500);
    let place = Place::new(&usual());
    let agent = place.start(&site.node);
    let id = agent.status().program.id;

    let other = Place::new(&usual());
    let mut command =
        keysteer_tests::site::binary::command(&["agent", "--metrics-address", "127.0.0.1:9478"]);
    command.arg("--policy").arg(other.policy()).arg("--state-dir").arg(other.state());
    command.arg("--socket").arg(other.socket()).arg("--bpffs").arg(other.pins());
    let said = keysteer_tests::site::binary::run(other.pinboard().put(site.node.put(&mut command)));
    let holder = format!("keysteer (pid {})", agent.pid());
    said.refuses(&[
        "up0 already has an XDP program",
        "keysteer_xdp",
        &format!("id {id}"),
        &holder,
        "leaves it alone",
    ]);
    assert!(!other.socket().exists());
    assert_eq!(site.attached(UP0), Some(id));
    assert!(site.who(v4(1, 1)) != "node", "the first one steers on");
}

#[test]
fn a_foreign_program_is_named_with_its_owner_and_left_alone() {
    let site = Site::new(1500);
    let theirs = Foreign::attach(&site.node, UP0);
    let id = site.attached(UP0).expect("theirs is attached");
    for mode in ["auto", "native", "generic"] {
        let place = Place::new(&usual().replace("{name: up0}", &format!("{{name: up0, mode: {mode}}}")));
        let said = place.refused(&site.node);
        let holder = format!("(pid {})", std::process::id());
        said.refuses(&[
            "up0 already has an XDP program",
            foreign::NAME,
            &format!("id {id}"),
            &holder,
            "Detach it",
        ]);
        assert!(!place.socket().exists());
        assert_eq!(site.attached(UP0), Some(id), "{mode}");
    }
    drop(theirs);
    let place = Place::new(&usual());
    place.start(&site.node);
}
