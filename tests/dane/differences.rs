//! Where Postfix and the product part, by the host of the delivery; docs/dane.md says why.

use world::ProbeVerdict;

/// A host that Postfix judges otherwise.
pub(crate) struct Difference {
    /// The host argument.
    pub(crate) host: &'static str,
    /// What Postfix makes of it.
    pub(crate) verdict: ProbeVerdict,
}

/// All of them.
pub(crate) const DIFFERENCES: &[Difference] = &[
    Difference { host: "signed.plain.test", verdict: ProbeVerdict::Mismatch },
    Difference { host: "common-name.dane.test", verdict: ProbeVerdict::Verified },
    Difference { host: "odd.dane.test", verdict: ProbeVerdict::NoServer },
    Difference { host: "one-usable.dane.test", verdict: ProbeVerdict::Unproved },
];

#[test]
fn every_difference_is_explained() {
    let page = include_str!("../../docs/dane.md");
    for Difference { host, .. } in DIFFERENCES {
        assert!(page.contains(&format!("| `{host}` |")), "{host} is not in docs/dane.md");
    }
}
