//! scratch
use keysteer::engine::Engine;
use keysteer::image::*;
use keysteer::kernel::*;
use keysteer_common::config::*;
use keysteer_common::tables::*;
use keysteer_common::*;
#[test]
fn loads() {
    let mut image = Image::default();
    let c = &mut image.config;
    c.abi = ABI;
    c.flow_secret = [1, 2];
    c.scope.v4 = PrefixIndex { common: 0, base: 0, skip: 0, bits: 8, _pad: [0; 2] };
    c.scope.v6 = PrefixIndex { common: 0, base: 256, skip: 0, bits: 8, _pad: [0; 2] };
    for i in 0..512 { image.prefix_index.push(if i == 203 || i == 256 + 0x20 { prefix::uniform(1) } else if i < 256 {prefix::uniform(0)} else {prefix::search(0,1)}); }
    image.prefix_steps.push(PrefixStep::default());
    c.fields[0] = FieldConfig { carrier: 11, through_table: 1, mask: [u64::MAX; 2], prefixes: c.scope, ..Default::default() };
    c.fields[1] = FieldConfig { carrier: 13, mask: [0, 63], place: 32, ..Default::default() };
    c.fields[2] = FieldConfig { carrier: 10, mask: [0, 63], place: 40, shift: 64, ..Default::default() };
    c.fields[3] = FieldConfig { carrier: 17, mask: [0, 0xffff], place: 64, ..Default::default() };
    c.levels[0] = LevelConfig { mask: [u64::MAX; 2], seed: 1, fields: 15, ..Default::default() };
    c.levels[1] = LevelConfig { mask: [0, 0xffffffff], seed: 1, fields: 1, ..Default::default() };
    c.key_probes = 16; c.key_mask = 15; c.flags = 6;
    c.classes[2].action = 2; c.classes[3].action = 2;
    image.services = vec![ServiceSet::default(); 2];
    image.keys = vec![KeyEntry::default(); 16];
    image.slots = vec![0; 65536];
    image.shards = vec![ShardEntry { target: 1, ..Default::default() }];
    let d = match Dataplane::load(&image) { Ok(d) => d, Err(e) => { panic!("{e}") } };
    println!("{:?}", d.program().unwrap());
    for m in d.maps().unwrap() { println!("{m:?}"); }
    pin_to_cpu(0).unwrap();
    let mut f = vec![0u8; 60]; f[12] = 8; f[14] = 0x45; f[17] = 46; f[23] = 17; f[30] = 203; f[26] = 203; f[34]=1; f[39]=20;
    let out = d.test_run(&f, 0, 0).unwrap();
    println!("{:?} {:?}", out.action, out.work);
    let mut e = Engine::new(&image);
    let h = e.decide(&mut f, 1);
    assert_eq!(h.work.decision, out.work.decision);
    let c = d.counters().unwrap();
    println!("{:?}", c.shards);
    assert_eq!(&c, e.counters());
}
