//! Commands other than the agent's, and wrong usage.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;

use keysteer_tests::site::Site;
use keysteer_tests::site::binary::{self, command, run};
use keysteer_tests::site::place::Place;
use keysteer_tests::site::policy::usual;

const READS: [&[&str]; 5] = [
    &["status"],
    &["key", "list"],
    &["key", "get", "acme"],
    &["shard", "list"],
    &["explain", "--hex", "0200"],
];

#[test]
fn wrong_usage_is_2_and_says_what_is_right() {
    binary::demand_root();
    let wrong: [(&[&str], &str); 17] = [
        (&[], "Usage"),
        (&["agnet"], "agent"),
        (&["agent"], "--policy"),
        (&["agent", "--polcy", "x"], "--policy"),
        (&["agent", "--policy", "x", "--metrics-address", "here"], "--metrics-address"),
        (&["status", "-o", "yaml"], "jsonl"),
        (&["key"], "get"),
        (&["key", "get"], "NAME"),
        (&["key", "get", ""], "NAME"),
        (&["demo", "--seconds", "soon"], "--seconds"),
        (&["explain"], "--hex"),
        (&["explain", "--hex", "0g"], "'g' at character 2"),
        (&["explain", "--src", "10.0.0.1", "--dst", "::1", "--dport", "1"], "different families"),
        (&["explain", "--src", "10.0.0.1", "--dst", "10.0.0.2"], "--dport PORT"),
        (&["explain", "--src", "::1", "--dst", "::2", "--proto", "47", "--dport", "1"], "has no ports"),
        (
            &["explain", "--src", "::1", "--dst", "::2", "--dport", "1", "--length", "20"],
            "its headers take 74",
        ),
        (&["policy", "example", "demo", "-o", "json"], "cannot be used with"),
    ];
    for (arguments, phrase) in wrong {
        let said = run(&mut command(arguments));
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{arguments:?}: {said:?}");
        assert!(said.err.contains(phrase), "{arguments:?}: {said:?}");
    }
}

#[test]
fn without_an_agent_every_read_says_how_to_start_one() {
    binary::demand_root();
    let place = Place::new("");
    for read in READS {
        let said = run(command(read).arg("--socket").arg(place.socket()));
        said.refuses(&["no agent is running", "keysteer agent --policy FILE", "--socket"]);
    }
    drop(UnixListener::bind(place.socket()).unwrap());
    for read in READS {
        let said = run(command(read).arg("--socket").arg(place.socket()));
        said.refuses(&["no agent listens", "keysteer agent --policy FILE"]);
    }
    fs::remove_file(place.socket()).unwrap();
    fs::write(place.socket(), "").unwrap();
    let said = run(command(&["status"]).arg("--socket").arg(place.socket()));
    assert_eq!(said.code, Some(1), "{said:?}");
}

#[test]
fn something_else_on_the_socket() {
    binary::demand_root();
    let place = Place::new("");
    let listener = UnixListener::bind(place.socket()).unwrap();
    let answers: [&[u8]; 4] = [
        b"",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhaha",
        b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n",
    ];
    let server = std::thread::spawn(move || {
        for answer in answers {
            let (mut connection, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let _ = connection.read(&mut request).unwrap();
            connection.write_all(answer).unwrap();
        }
    });
    for answer in answers {
        let said = run(command(&["status"]).arg("--socket").arg(place.socket()));
        assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{answer:?}: {said:?}");
        assert_eq!(said.err.lines().count(), 1, "{said:?}");
        assert!(said.err.starts_with("error: the agent"), "{said:?}");
    }
    server.join().unwrap();
}

#[test]
fn an_unknown_key_is_told_with_the_nearest() {
    let site = Site::new(1500);
    let place = Place::new(&usual());
    let agent = place.start(&site.node);
    agent.read(&["key", "get", "acem"]).refuses(&["has no key `acem`", "did you mean `acme`?"]);
    agent.read(&["key", "get", "zzzzzz"]).refuses(&["has no key `zzzzzz`", "keysteer key list"]);
    for name in ["a/b", "../status", "%2e", "ключ", "a b?c#d", "\u{1b}[31m"] {
        let said = agent.read(&["key", "get", name]);
        assert_eq!(said.code, Some(1), "{name}: {said:?}");
        assert_eq!(said.err.lines().count(), 1, "{name}: {said:?}");
        assert!(said.err.contains("has no key"), "{name}: {said:?}");
        assert!(!said.err.contains('\u{1b}'), "control characters do not reach the terminal: {said:?}");
    }
}

#[test]
fn explanations_that_cannot_be_given() {
    binary::demand_root();
    let place = Place::new(&usual());
    let policy = place.policy();
    let explain = |arguments: &[&str]| {
        run(command(&["explain", "--policy"])
            .arg(&policy)
            .args(arguments)
            .current_dir(policy.parent().unwrap()))
    };
    explain(&["--hex", "00", "--interface", "eth7"]).refuses(&["does not steer on `eth7`", "it does on up0"]);
    explain(&["--hex", "00", "--state-dir", "none"]).refuses(&["cannot read none/secrets", "--state-dir"]);
    let capture = |arguments: &[&str]| explain(&[&["--capture"], arguments].concat());
    capture(&["none.pcap", "--packet", "1"]).refuses(&["none.pcap: cannot be opened", "check its name"]);
    fs::write(place.file("text"), "no capture at all").unwrap();
    capture(&["text", "--packet", "1"]).refuses(&["no pcap or pcapng capture", "tcpdump"]);
    let whole = fs::read(keysteer_tests::captures::own().join("ipv4.pcap")).unwrap();
    fs::write(place.file("cut.pcap"), &whole[..whole.len() - 1]).unwrap();
    capture(&["cut.pcap", "--packet", "99"]).refuses(&[
        "cut.pcap: at byte",
        "after 28 packets",
        "record or copy it again",
    ]);
    // What comes before the place is still good.
    let said = capture(&["cut.pcap", "--packet", "28"]).data();
    assert!(said.contains("forward"), "{said}");
    fs::write(place.file("whole.pcap"), &whole).unwrap();
    capture(&["whole.pcap", "--packet", "30"]).refuses(&["has no packet 30", "its last is 29"]);
    let said = run(&mut command(&["policy", "example", "tennant-prefix"]));
    said.refuses(&["no example `tennant-prefix`", "did you mean `tenant-prefix`?"]);
    run(&mut command(&["man", "/proc/man"])).refuses(&["cannot write into /proc/man"]);
}
