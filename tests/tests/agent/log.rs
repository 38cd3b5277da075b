//! The log as JSON: every line of it, from the start to the end, whatever happens.

use keysteer_tests::site::Site;
use keysteer_tests::site::binary;
use keysteer_tests::site::place::Place;
use keysteer_tests::site::policy::usual;
use nix::sys::signal::Signal;
use serde_json::{Map, Value};

/// The documentation's example of an event.
const DOCUMENTED: &str = include_str!("../../../docs/cli.md");

/// The lines of a log.
fn events(log: &str) -> Vec<Map<String, Value>> {
    let events: Vec<Map<String, Value>> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    for event in &events {
        for field in ["timestamp", "level", "target", "message"] {
            assert!(event.get(field).is_some_and(Value::is_string), "{field}: {event:?}");
        }
    }
    events
}

/// What was said to the operator, by level.
fn messages(events: &[Map<String, Value>]) -> Vec<(&str, &str)> {
    let text = |event, field: &str| -> &str { Map::get(event, field).and_then(Value::as_str).unwrap() };
    let said = events.iter().filter(|event| event["target"] == "message");
    said.map(|event| (text(event, "level"), text(event, "message"))).collect()
}

fn of_kind<'e>(events: &'e [Map<String, Value>], kind: &str) -> Vec<&'e Map<String, Value>> {
    events.iter().filter(|event| event.get("event").is_some_and(|event| event == kind)).collect()
}

#[test]
fn every_line_is_an_object_and_keys_are_named_with_their_ids() {
    let site = Site::new(1500);
    // A label that looks like a phone number is worth a warning.
    let odd = r#"10.200.0.0/16: "+49 30 1234567", 10.1.0.0/16: t1"#;
    let place = Place::new(&usual().replace("10.1.0.0/16: t1", odd));
    let mut command = place.command(&site.node);
    command.args(["--log-format", "json"]);
    let mut agent = place.start_as(command);
    agent.signal(Signal::SIGTERM);
    assert!(agent.wait().success());

    let log = agent.log();
    let events = events(&log);
    let said = messages(&events);
    let [("WARN", warning), ("INFO", attached), ("INFO", "ready")] = said[..] else { panic!("{said:?}") };
    assert!(warning.contains("phone number") && !warning.starts_with("warning"), "{warning}");
    assert!(attached.contains("up0"), "{attached}");

    let named =
        |event: &Map<String, Value>| (event["key"].as_str().unwrap().to_owned(), event["key_id"].clone());
    let registered: Vec<_> = of_kind(&events, "key_registered").into_iter().map(named).collect();
    assert_eq!(
        registered,
        [("acme", 1), ("globex", 2), ("initech", 3)].map(|(k, id)| (k.to_owned(), id.into()))
    );
    let [loaded] = of_kind(&events, "policy_loaded")[..] else { panic!("{log}") };
    assert_eq!((&loaded["policy"], &loaded["keys"]), (&"test".into(), &3.into()));
    let last = &events[events.len() - 1];
    assert_eq!((&last["message"], &last["signal"]), (&"detached".into(), &"SIGTERM".into()));

    // The reference shows what is said.
    let shown = DOCUMENTED.lines().find(|line| line.starts_with("{\"timestamp\"")).unwrap();
    let mut shown: Map<String, Value> = serde_json::from_str(shown).unwrap();
    let real = of_kind(&events, "key_registered")[0];
    assert_eq!(shown["timestamp"].as_str().unwrap().len(), real["timestamp"].as_str().unwrap().len());
    shown.insert("timestamp".to_owned(), real["timestamp"].clone());
    assert_eq!(&shown, real);
}

#[test]
fn why_it_does_not_start_is_an_object_too() {
    let site = Site::new(1500);
    let place = Place::new(&usual().replace("pool: all", "pool: al"));
    for filter in [None, Some("off"), Some("no=such=filter")] {
        let mut command = place.command(&site.node);
        command.args(["--log-format", "json"]);
        if let Some(filter) = filter {
            command.env("KEYSTEER_LOG", filter);
        }
        let said = binary::run(&mut command);
        assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{said:?}");
        let events = events(&said.err);
        let messages = messages(&events);
        let (level, why) = messages[messages.len() - 1];
        assert!(
            level == "ERROR" && why.contains("unknown pool \"al\"") && !why.starts_with("error"),
            "{why}"
        );
        let ignored = messages.iter().any(|(level, it)| *level == "WARN" && it.contains("KEYSTEER_LOG"));
        assert_eq!(ignored, filter.is_some_and(|filter| filter.contains('=')), "{messages:?}");
    }
    assert!(!place.state().join("generations").exists() && !place.socket().exists());
}
