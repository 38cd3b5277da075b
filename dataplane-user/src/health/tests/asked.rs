//! Questions over real sockets, to this host itself.

use std::io::{Read, Write};
use std::net::TcpListener;

use nix::poll::{PollFd, PollTimeout, poll};

use super::ask::{Begun, Question};
use super::*;
use crate::agent::road::Sources;

/// What comes of a probe of this host; none where nothing does in time.
fn ask(probe: Probe) -> Option<Outcome> {
    let check = Check { probe, address: "127.0.0.1".parse().unwrap(), ..check() };
    let asked = Asked { index: 0, name: "a".to_owned(), check, mark: None };
    let mut question = match Question::put(&asked, &Sources::default(), 1).unwrap() {
        Begun::Over(outcome) => return Some(outcome),
        Begun::Waiting(question) => question,
    };
    loop {
        let mut sockets = [PollFd::new(question.socket(), question.waits_for())];
        if poll(&mut sockets, PollTimeout::from(500_u16)).unwrap() == 0 {
            return None;
        }
        if let Some(outcome) = question.go_on().unwrap() {
            return Some(outcome);
        }
    }
}

/// A server that reads a request and answers `parts`, with a pause after each; its port.
fn serve(parts: &'static [&'static str]) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let many = connection.read(&mut [0; 1024]).unwrap();
        assert!(many > 0);
        for part in parts {
            connection.write_all(part.as_bytes()).unwrap();
            std::thread::sleep(Duration::from_millis(30));
        }
    });
    port
}

fn page(parts: &'static [&'static str]) -> Option<Outcome> {
    let (path, host, status) = ("/".to_owned(), None, vec![200]);
    ask(Probe::Http { port: serve(parts), path, host, status })
}

#[test]
fn a_connection_is_opened_or_refused() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    assert_eq!(ask(Probe::Tcp { port }), Some(Outcome::Answered));
    drop(listener);
    assert_eq!(ask(Probe::Tcp { port }), Some(Outcome::Failed(Failure::Refused)));
}

#[test]
fn pages_are_judged_by_their_first_line_however_it_comes() {
    assert_eq!(page(&["HTTP/1.1 200 OK\r\n\r\n"]), Some(Outcome::Answered));
    assert_eq!(page(&["HTT", "P/1.1 2", "00 OK\r", "\n"]), Some(Outcome::Answered));
    assert_eq!(page(&["HTTP/1.1 503 Busy\r\n\r\n"]), Some(Outcome::Failed(Failure::Status(503))));
    assert_eq!(page(&["HTTP/1.1 20"]), Some(Outcome::Failed(Failure::Broken)), "cut off");
    assert_eq!(page(&[]), Some(Outcome::Failed(Failure::Broken)));
}
