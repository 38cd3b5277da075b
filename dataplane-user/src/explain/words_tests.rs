//! Operators' words, as a packet meets them.

use keysteer_common::overlay::{key_word, shard_word};

use super::offline::Offline;
use super::tests::{POLICY, advises, explain_by, outcome, packet};
use super::*;

#[test]
fn operators_words_are_told() {
    let id = |image: &Image, name: &str| image.names.keys.iter().find(|key| key.name == name).unwrap().id;
    let denied = Offline::from_text(POLICY, |image| {
        image.config.overlay = 1;
        image.words.keys.insert(id(image, "acme"), key_word::DENY);
        image.words.keys.insert(id(image, "initech"), key_word::ALLOW);
    });
    let said = explain_by(&denied, &packet("10.1.0.1"));
    assert_eq!(outcome(&said), ["assigned", "drop", "denied"]);
    let enforce = said.enforce.as_ref().unwrap();
    assert_eq!((enforce.word.as_deref(), enforce.denied.is_some()), (Some("deny"), true));
    advises(&said, &["an operator denied it", "keysteer key clear acme"]);
    let said = explain_by(&denied, &packet("10.3.0.1"));
    assert_ne!(outcome(&said)[2], "denied");
    assert_eq!(said.enforce.as_ref().unwrap().word.as_deref(), Some("allow"));
}

#[test]
fn a_disabled_shard_is_told_with_the_one_in_its_place() {
    let text = POLICY.replace("tenant: acme}, pool: exit-a", "tenant: acme}, pool: general");
    let plain = Offline::from_text(&text, |_| ());
    let before = explain_by(&plain, &packet("10.1.0.1")).select.unwrap().shard.unwrap();
    let disabled = Offline::from_text(&text, |image| {
        image.config.overlay = 1;
        let at = image.names.shards.iter().position(|shard| shard.name == before).unwrap();
        image.words.shards.insert(u32::try_from(at).unwrap(), shard_word::DISABLED);
    });
    let said = explain_by(&disabled, &packet("10.1.0.1"));
    let select = said.select.as_ref().unwrap();
    assert_eq!(select.instead_of.as_deref(), Some(before.as_str()));
    assert!(select.shard.as_ref().is_some_and(|shard| *shard != before), "{select:?}");
    advises(&said, &[&format!("keysteer shard enable {before}")]);
}
