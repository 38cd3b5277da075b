//! Broken policies: every problem with its place, then one line that says so.

use std::fs;

use keysteer_tests::site::Site;
use keysteer_tests::site::binary::{self, Said};
use keysteer_tests::site::place::Place;
use keysteer_tests::site::policy::usual;

use super::nothing_attached;

/// Checks that each line but nothing else names the policy, and that all phrases are among them.
fn told(said: &Said, place: &Place, phrases: &[&str]) {
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{said:?}");
    let lines = said.err.lines().count();
    assert!((1..=6).contains(&lines), "{lines} lines: {}", said.err);
    assert!(said.err.contains("error: "), "{}", said.err);
    assert!(said.err.contains(place.policy().to_str().unwrap()), "{}", said.err);
    for phrase in phrases {
        assert!(said.err.contains(phrase), "`{phrase}` is not in: {}", said.err);
    }
    assert!(!said.err.contains("panicked"), "{}", said.err);
}

#[test]
fn a_broken_policy_is_told_with_its_place_by_agent_and_validate_alike() {
    let site = Site::new(1500);
    let broken: [(&str, &str, &[&str]); 5] = [
        ("environment: test", "enviroment: test", &["enviroment", "environment"]),
        ("pool: all, width: 2", "pool: al, width: 2", &["unknown pool \"al\"", "did you mean \"all\"?"]),
        ("width: 2", "width: 9", &["width", "9", "3"]),
        ("10.1.0.0/16", "10.1.0.1/16", &["10.1.0.1/16"]),
        ("name: globex", "name: acme", &["acme"]),
    ];
    for (from, to, phrases) in broken {
        let text = usual().replace(from, to);
        assert_ne!(text, usual(), "{from} is in the policy");
        let place = Place::new(&text);
        let said = place.refused(&site.node);
        told(&said, &place, phrases);
        let at = format!("{}:", place.policy().display());
        let located = said.err.lines().filter_map(|line| line.split_once(&at)).any(|(_, rest)| {
            let mut parts = rest.split(':');
            parts.next().is_some_and(|line| line.parse::<u32>().is_ok())
                && parts.next().is_some_and(|column| column.parse::<u32>().is_ok())
        });
        assert!(located, "line and column: {}", said.err);
        assert!(!place.socket().exists() && !place.state().exists(), "nothing is made for a broken policy");
        nothing_attached(&site, &said);
        told(&binary::run(binary::command(&["validate"]).arg(place.policy())), &place, phrases);
    }
}

#[test]
fn a_file_that_is_no_policy() {
    let site = Site::new(1500);
    let junk: [&[u8]; 7] = [
        b"",
        b"\n\n",
        b"---\n",
        b"[1, 2",
        b"\xff\xfe\x00\x01junk",
        b"{apiVersion: keysteer.dev/v2, kind: SteeringPolicy}",
        b"a: &a [*a, *a]\n",
    ];
    for bytes in junk {
        let place = Place::new("");
        fs::write(place.policy(), bytes).unwrap();
        let said = place.refused(&site.node);
        told(&said, &place, &[]);
        nothing_attached(&site, &said);
    }
    let place = Place::new("");
    fs::remove_file(place.policy()).unwrap();
    told(&place.refused(&site.node), &place, &["No such file"]);
    fs::create_dir(place.policy()).unwrap();
    told(&place.refused(&site.node), &place, &["the folder has no policy"]);
}

#[test]
fn a_policy_that_is_long_or_deep_is_told_soon() {
    let site = Site::new(1500);
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let wide = format!("x: {}\n", "ha".repeat(4 << 20));
    let laughs = (1..30).fold("a0: &a0 [ha, ha]\n".to_owned(), |text, n| {
        format!("{text}a{n}: &a{n} [*a{m}, *a{m}, *a{m}, *a{m}]\n", m = n - 1)
    });
    for text in [deep, wide, laughs] {
        let place = Place::new(&text);
        let begun = std::time::Instant::now();
        let said = place.refused(&site.node);
        told(&said, &place, &[]);
        assert!(said.err.len() < 2_000, "{} bytes of messages", said.err.len());
        assert!(begun.elapsed().as_secs() < 10);
    }
}
