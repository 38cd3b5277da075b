//! The metric families: names, units and help in one place. `docs/metrics.md` lists the same, and a
//! test compares.

use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelSet, LabelSetEncoder, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

/// Prefix of every metric.
pub(super) const PREFIX: &str = "keysteer";

/// What a family counts in; part of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum In {
    /// Nothing that has a unit.
    Plain,
    Packets,
    Bytes,
    Flows,
    Seconds,
}

impl In {
    fn unit(self) -> Option<Unit> {
        match self {
            Self::Plain => None,
            Self::Packets => Some(Unit::Other("packets".to_owned())),
            Self::Bytes => Some(Unit::Bytes),
            Self::Flows => Some(Unit::Other("flows".to_owned())),
            Self::Seconds => Some(Unit::Seconds),
        }
    }
}

/// Labels of one series.
#[derive(Clone, Copy, Debug)]
pub(super) struct Labels<'a, const N: usize>(pub(super) [(&'static str, &'a str); N]);

impl<const N: usize> EncodeLabelSet for Labels<'_, N> {
    fn encode(&self, encoder: &mut LabelSetEncoder) -> std::fmt::Result {
        self.0.encode(encoder)
    }
}

/// Writes families one after the other.
pub(super) struct Families<'a>(pub(super) DescriptorEncoder<'a>);

impl Families<'_> {
    /// A counter with labels.
    pub(super) fn counters<'l, const N: usize>(
        &mut self,
        (name, unit, help): (&str, In, &str),
        rows: impl IntoIterator<Item = ([(&'static str, &'l str); N], u64)>,
    ) -> std::fmt::Result {
        let unit = unit.unit();
        let mut family = self.0.encode_descriptor(name, help, unit.as_ref(), MetricType::Counter)?;
        rows.into_iter()
            .try_for_each(|(labels, value)| counter(&mut family.encode_family(&Labels(labels))?, value))
    }

    /// A counter without labels.
    pub(super) fn counter(&mut self, (name, unit, help): (&str, In, &str), value: u64) -> std::fmt::Result {
        let unit = unit.unit();
        counter(&mut self.0.encode_descriptor(name, help, unit.as_ref(), MetricType::Counter)?, value)
    }

    /// A gauge with labels.
    pub(super) fn gauges<'l, const N: usize>(
        &mut self,
        (name, unit, help): (&str, In, &str),
        rows: impl IntoIterator<Item = ([(&'static str, &'l str); N], u64)>,
    ) -> std::fmt::Result {
        let unit = unit.unit();
        let mut family = self.0.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?;
        rows.into_iter()
            .try_for_each(|(labels, value)| family.encode_family(&Labels(labels))?.encode_gauge(&value))
    }

    /// A gauge without labels.
    pub(super) fn gauge(&mut self, (name, unit, help): (&str, In, &str), value: u64) -> std::fmt::Result {
        let unit = unit.unit();
        self.0.encode_descriptor(name, help, unit.as_ref(), MetricType::Gauge)?.encode_gauge(&value)
    }

    /// An info: labels, and the value 1.
    pub(super) fn infos<'l, const N: usize>(
        &mut self,
        (name, help): (&str, &str),
        rows: impl IntoIterator<Item = [(&'static str, &'l str); N]>,
    ) -> std::fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Info)?;
        rows.into_iter().try_for_each(|labels| family.encode_info(&Labels(labels)))
    }
}

fn counter(encoder: &mut MetricEncoder<'_>, value: u64) -> std::fmt::Result {
    encoder.encode_counter::<NoLabelSet, u64, f64>(&value, None)
}
