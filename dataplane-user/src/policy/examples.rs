//! The policies that are shipped in `examples/`, inside the program.

/// A shipped file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Example {
    /// What it is asked for by: its file's name, without `.yaml`.
    pub name: &'static str,
    /// Its file's name in `examples/`.
    pub file: &'static str,
    /// What it shows, in a few words.
    pub shows: &'static str,
    /// The file, comments and all.
    pub text: &'static str,
}

macro_rules! examples {
    ($($name:literal $file:literal $shows:literal,)*) => {
        /// Every shipped file, by name.
        pub const EXAMPLES: &[Example] = &[$(Example {
            name: $name,
            file: $file,
            shows: $shows,
            text: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/", $file)),
        }),*];
    };
}

examples! {
    "demo" "demo.yaml" "the policy of `keysteer demo`: tenants by source address, products by DSCP",
    "health" "health.yaml" "which shards live: asked by HTTP, and left when they do not answer",
    "keys-from-csv" "keys-from-csv.yaml" "many keys, in a CSV file beside the policy",
    "keys.csv" "keys.csv" "the keys of keys-from-csv",
    "observe" "observe.yaml" "decides and counts on a running system, and touches nothing",
    "quic" "quic.yaml" "tenants by QUIC connection ids that servers choose, in two rotations",
    "rollout" "rollout.yaml" "a change that moves keys in steps, and what takes it back",
    "tenant-prefix" "tenant-prefix.yaml" "the simplest: the tenant by source address",
    "tenant-region-product" "tenant-region-product.yaml" "a key of three fields, with a fall-back to the tenant alone",
    "trust" "trust.yaml" "who may assert a key: by interface, and by the key's source addresses",
    "tunnel-tenants" "tunnel-tenants.yaml" "tenants by VXLAN or Geneve network, machines inside it apart",
    "two-versions" "two-versions.yaml" "two versions of the schema at once, names of values, and an alias",
    "vlan" "vlan.yaml" "the region by the VLAN that a packet arrives in",
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_shipped_file_is_in_the_program_as_it_is() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
        let mut files: Vec<String> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        assert_eq!(EXAMPLES.iter().map(|example| example.file).collect::<Vec<_>>(), files);
        for example in EXAMPLES {
            assert_eq!(example.name, example.file.trim_end_matches(".yaml"));
            assert_eq!(example.text, std::fs::read_to_string(folder.join(example.file)).unwrap());
        }
    }
}
