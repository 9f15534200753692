//! A small DNS from the root down, signed with keys of its own: what the zones hold, who is whose
//! parent, and the files that a name server and a validating resolver read.

use std::path::{Path, PathBuf};

use crate::signing;

/// Where the name server of all zones is.
pub(crate) const NAME_SERVER: &str = "127.0.0.2";
/// Where nothing ever answers.
pub(crate) const SILENT_SERVER: &str = "127.0.0.3";

/// The zones of a test. The root, and the top-level domains of the zones given, come by themselves;
/// both are signed.
///
/// The text of a zone is in the usual format; names are relative to the zone, SOA and NS are there.
#[derive(Clone, Debug, Default)]
pub struct Zones {
    zones: Vec<Zone>,
    pub(crate) unbound_options: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Zone {
    /// Without the dot at the end; empty for the root.
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Insecure,
    Signed(Denial),
    /// Signed; then the signatures of these record sets were altered.
    Bogus(Altered),
    /// The time of its signatures is over.
    Expired,
    /// Its parent says that it is signed, and it is not.
    Stripped,
    /// Delegated to a server that never answers.
    Silent,
}

/// How a signed zone says that there is nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denial {
    Nsec,
    Nsec3,
    /// NSEC3, which says nothing about delegations without signatures.
    OptOut,
}

#[derive(Clone, Debug)]
pub(crate) enum Altered {
    /// All of the zone but its keys: denials too.
    All,
    /// Owner, as an absolute name without the last dot, and type.
    These(Vec<(String, String)>),
}

impl Zones {
    /// No zones yet.
    #[must_use]
    pub fn new() -> Zones {
        Zones::default()
    }

    /// A signed zone.
    #[must_use]
    pub fn signed(self, name: &str, text: &str) -> Zones {
        self.with(name, text, Kind::Signed(Denial::Nsec))
    }

    /// A signed zone whose denials are NSEC3 records.
    #[must_use]
    pub fn signed_by_nsec3(self, name: &str, text: &str) -> Zones {
        self.with(name, text, Kind::Signed(Denial::Nsec3))
    }

    /// A signed zone with NSEC3 and opt-out: a denial does not prove that there is no insecure zone.
    #[must_use]
    pub fn signed_with_opt_out(self, name: &str, text: &str) -> Zones {
        self.with(name, text, Kind::Signed(Denial::OptOut))
    }

    /// A signed zone whose signatures ran out.
    #[must_use]
    pub fn expired(self, name: &str, text: &str) -> Zones {
        self.with(name, text, Kind::Expired)
    }

    /// A zone without signatures whose parent has a DS record for it.
    #[must_use]
    pub fn stripped(self, name: &str, text: &str) -> Zones {
        self.with(name, text, Kind::Stripped)
    }

    /// A delegation to a server that never answers.
    #[must_use]
    pub fn silent(self, name: &str) -> Zones {
        self.with(name, "", Kind::Silent)
    }

    /// A zone without signatures, securely delegated as such.
    #[must_use]
    pub fn insecure(self, name: &str, text: &str) -> Zones {
        self.with(name, text, Kind::Insecure)
    }

    /// A zone in which no answer, nor any denial, validates.
    #[must_use]
    pub fn bogus(self, name: &str, text: &str) -> Zones {
        self.with(name, text, Kind::Bogus(Altered::All))
    }

    /// A signed zone in which only these record sets do not validate: owner (relative to the zone, or
    /// `@`) and type, as `("_25._tcp.mx1", "TLSA")`. `NSEC` makes denials bogus at the owner.
    #[must_use]
    pub fn bogus_at(self, name: &str, text: &str, records: &[(&str, &str)]) -> Zones {
        let absolute = |owner: &str| match owner {
            "@" => name.to_lowercase(),
            _ => format!("{owner}.{name}").to_lowercase(),
        };
        let records = records.iter().map(|(owner, kind)| (absolute(owner), (*kind).to_owned())).collect();
        self.with(name, text, Kind::Bogus(Altered::These(records)))
    }

    /// One more line of unbound's `server:` section, as `"val-permissive-mode: yes"`.
    #[must_use]
    pub fn unbound_option(mut self, line: &str) -> Zones {
        self.unbound_options.push(line.to_owned());
        self
    }

    fn with(mut self, name: &str, text: &str, kind: Kind) -> Zones {
        let name = name.trim_end_matches('.').to_lowercase();
        assert!(self.zones.iter().all(|zone| zone.name != name), "zone {name:?} is given twice");
        self.zones.push(Zone { name, text: text.to_owned(), kind });
        self
    }

    /// Writes all zone files, signed where they are to be, and the keys into `directory`.
    pub(crate) fn publish(&self, directory: &Path) -> Published {
        let mut zones = self.complete();
        let mut published = Published { files: Vec::new(), trust_anchor: directory.join("root.key") };
        // Children first: their parents' files hold their delegations.
        zones.sort_by_key(|zone| labels(&zone.name));
        while let Some(zone) = zones.pop() {
            let name = zone.origin();
            let (server, ds) = match zone.kind {
                Kind::Silent => ("silent.", String::new()),
                _ => {
                    let (file, ds) = signing::publish(&zone, directory, &published.trust_anchor);
                    published.files.push((name.clone(), file));
                    ("ns.", ds)
                }
            };
            if let Some(parent) = zones.iter_mut().rev().find(|other| zone.is_below(other)) {
                parent.text.push_str(&format!("\n{name} NS {server}\n{ds}\n"));
            }
        }
        published
    }

    /// The zones with the root and the top-level domains.
    fn complete(&self) -> Vec<Zone> {
        let mut zones = self.zones.clone();
        let tops = self.zones.iter().filter_map(|zone| zone.name.rsplit('.').next());
        for name in tops.chain([""]) {
            if zones.iter().all(|zone| zone.name != name) {
                zones.push(Zone {
                    name: name.to_owned(),
                    text: String::new(),
                    kind: Kind::Signed(Denial::Nsec),
                });
            }
        }
        let root = zones.iter_mut().find(|zone| zone.name.is_empty()).expect("the root is there");
        root.text.push_str(&format!("\nns. A {NAME_SERVER}\nsilent. A {SILENT_SERVER}\n"));
        zones
    }
}

/// The files that the servers read.
pub(crate) struct Published {
    /// Absolute zone name, and file.
    pub(crate) files: Vec<(String, PathBuf)>,
    /// The DNSKEY of the root.
    pub(crate) trust_anchor: PathBuf,
}

fn labels(name: &str) -> usize {
    name.split('.').filter(|label| !label.is_empty()).count()
}

impl Zone {
    /// The absolute name.
    pub(crate) fn origin(&self) -> String {
        format!("{}.", self.name)
    }

    fn is_below(&self, other: &Zone) -> bool {
        let rest = self.name.strip_suffix(&other.name);
        rest.is_some_and(|rest| !rest.is_empty() && (other.name.is_empty() || rest.ends_with('.')))
    }
}
