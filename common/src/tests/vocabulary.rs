//! The numbers and names are a contract. This list is written out a second time on purpose: a change
//! here is a change of the ABI and of every dashboard.

use crate::carrier::Carrier;
use crate::vocabulary::{Class, Fault, Reason, Verdict};

#[test]
fn numbers_and_names_never_change() {
    let classes: Vec<_> = Class::ALL.iter().map(|class| (*class as u8, class.name())).collect();
    assert_eq!(
        classes,
        [
            (0, "foreign"),
            (1, "assigned"),
            (2, "unregistered"),
            (3, "missing"),
            (4, "malformed"),
            (5, "unauthenticated"),
        ]
    );
    let verdicts: Vec<_> = Verdict::ALL.iter().map(|verdict| (*verdict as u8, verdict.name())).collect();
    assert_eq!(
        verdicts,
        [(0, "pass"), (1, "drop"), (2, "cpu"), (3, "interface"), (4, "next_hop"), (5, "observe")]
    );
    let reasons: Vec<_> = Reason::ALL.iter().map(|reason| (*reason as u8, reason.name())).collect();
    assert_eq!(
        reasons,
        [
            (0, "out_of_scope"),
            (1, "steered"),
            (2, "class_pass"),
            (3, "class_drop"),
            (4, "denied"),
            (5, "target_drop"),
            (6, "no_shard"),
            (7, "no_exit"),
            (8, "fragment_pass"),
            (9, "fragment_drop"),
            (10, "too_big"),
        ]
    );
    let faults: Vec<_> = Fault::ALL.iter().map(|fault| (*fault as u8, fault.name())).collect();
    assert_eq!(
        faults,
        [
            (0, "none"),
            (1, "ipv4_header_length"),
            (2, "ip_length"),
            (3, "extension_cut"),
            (4, "too_many_extensions"),
            (5, "transport_cut"),
            (6, "transport_length"),
            (7, "tunnel_cut"),
        ]
    );
}

#[test]
fn from_number_is_the_inverse() {
    for reason in Reason::ALL {
        assert_eq!(Reason::from_number(*reason as u8), Some(*reason));
    }
    assert_eq!(Reason::from_number(200), None);
}

#[test]
fn carriers_have_distinct_names_and_dense_numbers() {
    let mut names: Vec<_> = Carrier::ALL.iter().map(|carrier| carrier.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Carrier::ALL.len());
    for (at, carrier) in Carrier::ALL.iter().enumerate() {
        assert_eq!(*carrier as usize, at + 1, "{} is out of order", carrier.name());
        assert!(carrier.bits() <= 128 || carrier.is_variable());
        assert!(!carrier.needs_table() || carrier.is_address());
    }
}
