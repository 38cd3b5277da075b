use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use super::*;
use crate::agent::fake::{Fake, Record, image};
use crate::control::client::{Client, ClientError, segment};
use crate::control::socket::Socket;
use crate::control::types::{Claim, InterfaceStatus, Key, Shard, Status};
use crate::counters::Snapshot;
use crate::explain::types::{Explanation, Question};

/// An agent's server over a fake meter, on a thread of its own.
struct Served {
    directory: tempfile::TempDir,
    fake: Fake,
    _socket: Socket,
}

fn serve(keys: &[&str]) -> Served {
    serve_with(keys, Fake::default())
}

fn serve_with(keys: &[&str], fake: Fake) -> Served {
    let directory = tempfile::tempdir().unwrap();
    let socket = Socket::bind(&directory.path().join("agent.sock")).unwrap();
    *fake.0.snapshot.lock().unwrap() = Snapshot::empty(keys.len() + 1, 2);
    let eth0 = InterfaceStatus {
        name: "eth0".to_owned(),
        index: 7,
        mode: "native".to_owned(),
        fallback: None,
        note: None,
    };
    let node = Arc::new(Node::new(image(keys), "edge.yaml".to_owned(), vec![eth0]));
    *fake.0.node.lock().unwrap() = node;
    let source: Arc<dyn Source> = Arc::new(fake.clone());
    let telemetry = Arc::new(Telemetry::new(Arc::clone(&source), 10));
    let api = Api { source, telemetry, watch: None };
    let listener = socket.listener().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::UnixListener::from_std(listener).unwrap();
            axum::serve(listener, router(api)).await.unwrap();
        });
    });
    Served { directory, fake, _socket: socket }
}

impl Served {
    fn path(&self) -> PathBuf {
        self.directory.path().join("agent.sock")
    }

    fn client(&self) -> Client {
        Client::new(&self.path())
    }
}

#[test]
fn answers_round_trip() {
    let served = serve(&["acme", "globex"]);
    {
        let mut snapshot = served.fake.0.snapshot.lock().unwrap();
        snapshot.keys[2].packets = 5;
        snapshot.keys[2].bytes = 500;
        snapshot.events[2].drops[0].packets = 2;
        snapshot.shards[1].packets = 5;
        snapshot.node.verdicts[0].packets = 5;
        snapshot.node.verdicts[0].bytes = 500;
        snapshot.node.outcomes[keysteer_common::vocabulary::REASONS + 1].packets = 5;
        snapshot.node.outcomes[keysteer_common::vocabulary::REASONS + 1].bytes = 500;
    }
    let status: Status = served.client().get("/v1/status").unwrap();
    assert_eq!((status.policy.keys, status.policy.mode.as_str()), (2, "steer"));
    assert_eq!(status.pid, std::process::id());
    assert_eq!((status.received.packets, status.balanced), (5, true));
    assert_eq!(status.outcomes.len(), 1);
    let pools: Pools = served.client().get("/v1/pools").unwrap();
    assert_eq!((pools.version, pools.pools.len()), (0, 0));
    assert_eq!(
        (status.outcomes[0].class.as_str(), status.outcomes[0].reason.as_str()),
        ("assigned", "steered")
    );
    assert_eq!(status.program.id, 42);

    let keys: Vec<Key> = served.client().get("/v1/keys").unwrap();
    assert_eq!(keys.iter().map(|key| key.packets).collect::<Vec<_>>(), [0, 5]);
    let key: Key = served.client().get("/v1/keys/globex").unwrap();
    assert_eq!(key, keys[1]);
    assert_eq!(key.drops["denied"].packets, 2);
    assert_eq!(key.owner.as_deref(), Some("team-globex"));

    let shards: Vec<Shard> = served.client().get("/v1/shards").unwrap();
    assert_eq!(shards.iter().map(|shard| shard.packets).collect::<Vec<_>>(), [0, 5]);
    assert_eq!(shards[0].rates.keys().collect::<Vec<_>>(), ["10s", "1h", "1m", "5m"]);
}

#[test]
fn claims_are_told_by_key_and_interface() {
    let served = serve(&["acme", "globex"]);
    {
        let mut snapshot = served.fake.0.snapshot.lock().unwrap();
        let claimed = [((1, 7), 2), ((1, 9), 3), ((2, 7), 5), ((0, 7), 1), ((0, 0), 4), ((8, 7), 6)];
        snapshot.claims = claimed
            .into_iter()
            .map(|(pair, packets)| {
                (pair, keysteer_common::account::Counter { packets, bytes: packets * 100 })
            })
            .collect();
    }
    let claims: Vec<Claim> = served.client().get("/v1/claims").unwrap();
    let told: Vec<_> = claims
        .iter()
        .map(|it| (it.key.as_deref(), it.id, it.interface.as_deref(), it.packets, it.bytes))
        .collect();
    assert_eq!(
        told,
        [
            (None, 8, Some("eth0"), 6, 600),
            (Some("globex"), 2, Some("eth0"), 5, 500),
            (None, 0, None, 4, 400),
            (Some("acme"), 1, Some("index 9"), 3, 300),
            (Some("acme"), 1, Some("eth0"), 2, 200),
            (None, 0, Some("eth0"), 1, 100),
        ]
    );
    let key: Key = served.client().get("/v1/keys/acme").unwrap();
    assert_eq!(key.claims, [claims[3].clone(), claims[4].clone()]);
    assert_eq!(key.packets, 0);
}

#[test]
fn many_keys_come_in_parts_that_make_one_list() {
    for count in [0, 1, PART - 1, PART, PART + 1, 2 * PART + 7] {
        let names: Vec<_> = (0..count).map(|number| format!("key-{number}")).collect();
        let served = serve(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let keys: Vec<Key> = served.client().get("/v1/keys").unwrap();
        assert!(keys.iter().map(|key| &key.name).eq(&names), "{count}");
    }
}

#[test]
fn names_may_hold_anything() {
    let name = "a/b c?%\"\u{e9}";
    let served = serve(&[name]);
    let key: Key = served.client().get(&format!("/v1/keys/{}", segment(name))).unwrap();
    assert_eq!(key.name, name);
}

/// These tests' server does not know who asks, so it is nobody who may see what is hidden.
#[test]
fn hidden_values_are_hidden_from_whoever_is_not_known() {
    let served = serve(&["acme"]);
    {
        let mut node = served.fake.0.node.lock().unwrap();
        let mut names = node.names.clone();
        names.schemas[0].fields[0].display = crate::display::Display::Masked;
        *node = Arc::new(Node { names, ..(**node).clone() });
    }
    let key: Key = served.client().get("/v1/keys/acme").unwrap();
    assert_eq!(key.values["tenant"], "****");
    let keys: Vec<Key> = served.client().get("/v1/keys?reveal=false").unwrap();
    assert_eq!(keys, [key]);
    for path in ["/v1/keys/acme?reveal=true", "/v1/keys?reveal=true"] {
        let refused = served.client().get::<serde_json::Value>(path).unwrap_err().to_string();
        assert!(refused.contains("root") && refused.contains("leave out `reveal`"), "{refused}");
    }
    let question = Question { frame: "0200".to_owned(), interface: None };
    assert!(served.client().post::<Explanation>("/v1/explain?reveal=true", &question).is_err());
    let refused = served.client().get::<serde_json::Value>("/v1/keys?reveal=yes").unwrap_err().to_string();
    assert!(refused.contains("?reveal=true"), "{refused}");
}

#[test]
fn what_is_not_there_is_refused_with_a_hint() {
    let served = serve(&["acme", "globex"]);
    let refused = |path: &str| match served.client().get::<Key>(path) {
        Err(ClientError::Refused(text)) => text,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused("/v1/keys/acem"), "policy `edge` has no key `acem`; did you mean `acme`?");
    assert!(refused("/v1/keys/initech").contains("key list"));
    assert!(refused("/v2/status").contains("/v1/status"));
}

#[test]
fn other_methods_and_paths_get_a_problem_with_the_right_status() {
    let served = serve(&["acme"]);
    let ask = |request: &str| {
        let mut stream = UnixStream::connect(served.path()).unwrap();
        let head = format!("{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let answer = ask("POST /v1/keys");
    assert!(answer.starts_with("HTTP/1.1 405") && answer.contains("{\"error\":"), "{answer}");
    let answer = ask("GET /v1/explain");
    assert!(answer.starts_with("HTTP/1.1 405") && answer.contains("use POST"), "{answer}");
    let answer = ask("POST /v1/explain");
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("hexadecimal"), "{answer}");
    let answer = ask("GET /nothing");
    assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("{\"error\":"), "{answer}");
    let answer = ask("GET /v1/keys/nobody");
    assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("application/json"), "{answer}");
}

#[test]
fn an_explanation_reads_no_counter() {
    let fake = Fake(Arc::new(Record { fails: Some("counters"), ..Record::default() }));
    let served = serve_with(&["acme"], fake);
    assert!(served.client().get::<Status>("/v1/status").is_err());
    let question = Question { frame: "0200".to_owned(), interface: None };
    let said: Explanation = served.client().post("/v1/explain", &question).unwrap();
    assert_eq!((said.live, said.interface.as_str(), said.bytes), (true, "eth0", 2));
    assert_eq!((said.policy.name.as_str(), said.class.as_str()), ("edge", "foreign"));
    assert_eq!(served.fake.0.steps(), ["tables"]);
}

#[test]
fn a_wrong_question_is_refused_with_what_is_right() {
    let served = serve(&["acme"]);
    let refused =
        |question: &serde_json::Value| match served.client().post::<Explanation>("/v1/explain", question) {
            Err(ClientError::Refused(text)) => text,
            other => panic!("{other:?}"),
        };
    use serde_json::json;
    assert!(refused(&json!({"frame": "02 0g"})).contains("'g' at character 5"));
    assert!(refused(&json!({"frame": ""})).contains("from the Ethernet header on"));
    assert!(refused(&json!({})).contains("missing field `frame`"));
    assert!(refused(&json!({"frame": "02", "interfce": "eth0"})).contains("interfce"));
    let other = refused(&json!({"frame": "02", "interface": "eth1"}));
    assert_eq!(other, "the agent does not steer on `eth1`; it does on eth0");
    // More than any frame is in hexadecimal digits.
    assert!(refused(&json!({"frame": "00".repeat(2 << 20)})).contains("more than a frame can have"));
}

#[test]
fn a_missing_agent_is_told_from_a_dead_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("agent.sock");
    let error = Client::new(&path).get::<Status>("/v1/status").unwrap_err();
    assert!(matches!(error, ClientError::NoAgent { .. }), "{error}");
    assert!(error.to_string().contains("keysteer agent --policy FILE"), "{error}");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let error = Client::new(&path).get::<Status>("/v1/status").unwrap_err();
    assert!(matches!(error, ClientError::Stale { .. }), "{error}");
}
