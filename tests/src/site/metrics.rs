//! What `/metrics` says, parsed.

use std::collections::BTreeMap;

/// Samples by name and labels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics(BTreeMap<(String, BTreeMap<String, String>), f64>);

impl Metrics {
    /// Reads an HTTP answer with OpenMetrics text.
    ///
    /// # Panics
    /// It is not one, or a sample is there twice.
    pub fn parse(answer: &str) -> Self {
        let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert!(head.to_lowercase().contains("application/openmetrics-text"), "{head}");
        assert!(body.trim_end().ends_with("# EOF"), "the text is complete");
        let mut samples = BTreeMap::new();
        for line in body.lines().filter(|line| line.starts_with("keysteer_")) {
            let (series, value) = line.rsplit_once(' ').expect("a sample has a value");
            let (name, labels) = match series.split_once('{') {
                Some((name, rest)) => (name, labels(rest)),
                None => (series, BTreeMap::new()),
            };
            let value = value.parse().unwrap_or_else(|error| panic!("{line}: {error}"));
            assert!(samples.insert((name.to_owned(), labels), value).is_none(), "twice: {line}");
        }
        Self(samples)
    }

    /// A sample; its labels must be exactly these.
    ///
    /// # Panics
    /// It is not there.
    pub fn get(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let key = (name.to_owned(), labels);
        *self.0.get(&key).unwrap_or_else(|| panic!("no sample {key:?} in {:#?}", self.0))
    }

    /// The samples of one name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a BTreeMap<String, String>, f64)> {
        self.0
            .iter()
            .filter(move |((found, _), _)| found == name)
            .map(|((_, labels), value)| (labels, *value))
    }

    /// Their sum.
    pub fn sum(&self, name: &str) -> f64 {
        self.all(name).map(|(_, value)| value).sum()
    }
}

/// The labels behind the opening brace.
fn labels(text: &str) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let mut rest = text;
    while let Some((name, quoted)) = rest.split_once("=\"") {
        let mut value = String::new();
        let mut characters = quoted.char_indices();
        let end = loop {
            match characters.next().expect("a label's value ends") {
                (_, '\\') => match characters.next().expect("something is escaped").1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                (at, '"') => break at,
                (_, other) => value.push(other),
            }
        };
        labels.insert(name.trim_start_matches(',').to_owned(), value);
        rest = &quoted[end + 1..];
    }
    labels
}
