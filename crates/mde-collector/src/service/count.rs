//! `related_*` counts as data: which flag asks for each, and by which calls it can be had.
//!
//! Every count has a faithful answer, a call for each entity, and a list of cheaper ones: the first is ours, the others are for
//! tenants that cannot give it. None is promised to be equal to the faithful one. Source of the equivalences: design, "Enrichment".

use mde_client::limits::Family;

/// One `related_*` count.
#[derive(Debug, PartialEq, Eq)]
pub struct Count {
    /// The configuration's flag.
    pub option: &'static str,
    /// Older spellings of the flag.
    pub aliases: &'static [&'static str],
    /// The property that it adds.
    pub field: &'static str,
    /// The call for one entity.
    pub per_entity: PerEntity,
    /// What answers for all entities at once, best first.
    pub bulk: &'static [Bulk],
    /// How the answer for all can differ from that of the call for one, for the documentation; empty where there is none.
    pub differs: &'static str,
}

impl Count {
    /// What is counted, as a person asks for it: the property without what all of them begin with.
    #[must_use]
    pub fn topic(&self) -> &'static str {
        self.field.strip_prefix("related_").unwrap_or(self.field)
    }

    /// Whether a person means it: by its topic, by the topic's last word (`users` of `logon_users`), or as its call's path ends.
    #[must_use]
    pub fn is_about(&self, topic: &str) -> bool {
        let last = |text: &'static str, end| text.rsplit(end).next().unwrap_or_default();
        let names = [self.topic(), last(self.topic(), '_'), last(self.per_entity.path, '/')];
        names.iter().any(|name| name.eq_ignore_ascii_case(topic))
    }
}

/// The documented call that lists what belongs to one entity.
#[derive(Debug, PartialEq, Eq)]
pub struct PerEntity {
    /// Path below the API's base URL; `{id}` is the entity.
    pub path: &'static str,
    /// Application roles; any one of them is enough.
    pub roles: &'static [&'static str],
    /// The budget that it spends from.
    pub family: Family,
    /// What it answers.
    pub answer: Related,
}

/// What a call for one entity answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Related {
    /// A list, page by page. A 404 means that the entity is not known: the count is unknown.
    List,
    /// The one thing that belongs to it. A 404 means that there is none: the count is 0.
    One,
}

/// An answer for all entities.
#[derive(Debug, PartialEq, Eq)]
pub enum Bulk {
    /// A number in the record itself.
    Row(&'static str),
    /// 1 where the record has that property, 0 where it is null or absent.
    Present(&'static str),
    /// 1 where the entity's id begins so, else 0.
    IdBegins(&'static str),
    /// Different values of a property over the elements of an array of the record.
    Elements {
        /// The array.
        array: &'static str,
        /// The property; elements without it do not count.
        property: &'static str,
        /// What of it is compared.
        part: Part,
    },
    /// Rows of something else, grouped.
    Grouped(Grouped),
}

/// What of a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// The host of an address, which may be whole or bare, in lower case.
    Host,
}

/// A count by reading all rows of something else once.
#[derive(Debug, PartialEq, Eq)]
pub struct Grouped {
    /// What is read; counts that name the same one share the reading.
    pub pass: &'static Pass,
    /// Properties that make the entity's id, joined as the vendor joins them. Compared without case: files spell them otherwise.
    pub by: &'static [&'static str],
    /// Properties whose different values together are counted; a row where one is null or absent only shows that the entity is
    /// there.
    pub distinct: &'static [&'static str],
    /// Which of these values count.
    pub only: Only,
    /// What it means that an entity has no row.
    pub silence: Silence,
}

/// Which values count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Only {
    /// All, also one without letters: a product without a version is there in one version.
    All,
    /// Those with letters.
    Filled,
    /// Those made of digits.
    Digits,
}

/// What it means that an entity has no row in a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// Its count is 0, if it was there when the reading began.
    Zero,
    /// Nothing: the source does not hold every entity, or is hours old.
    Unknown,
}

/// What stands between the parts of an id that the vendor has joined.
pub const JOINT: &str = "-_-";

/// The entity that a row was found under, as a property of the row, where a pass asks for each entity's list.
pub const OWNER: &str = "@owner";

/// Something that is read as a whole for the counts in it.
#[derive(Debug, PartialEq, Eq)]
pub struct Pass {
    /// Its name in logs and in the state.
    pub name: &'static str,
    /// Application roles; any one of them is enough.
    pub roles: &'static [&'static str],
    /// How it is read.
    pub read: Read,
}

/// How a pass is read.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    /// An export: rows in pages of JSON, or in files behind links.
    Export {
        /// The pages.
        pages: &'static str,
        /// The links.
        files: &'static str,
        /// The property that names a row's machine.
        machine: &'static str,
    },
    /// A list.
    List {
        /// Its path.
        path: &'static str,
        /// The budget that it spends from.
        family: Family,
    },
    /// A list, and of each entity in it a list of its own, whose rows name it as [`OWNER`].
    Each {
        /// The list.
        path: &'static str,
        /// The list of one entity; `{id}` is the entity.
        each: &'static str,
        /// The budget that both spend from.
        family: Family,
    },
}

/// How counts are had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Whichever of the others fits the quota.
    Auto,
    /// A call for each entity.
    PerEntity,
    /// A few calls for all.
    Bulk,
}

/// A way in which one count is had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The call for one entity.
    PerEntity(&'static PerEntity),
    /// One of the answers for all.
    Bulk(&'static Bulk),
}

impl Answer {
    /// Its name in logs and in the state.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::PerEntity(_) => "per_entity",
            Self::Bulk(Bulk::Grouped(grouped)) => grouped.pass.name,
            Self::Bulk(Bulk::Elements { array, .. }) => array,
            Self::Bulk(_) => "list_row",
        }
    }

    /// Roles of which one is needed beyond those for the list; none where the list's are enough.
    #[must_use]
    pub const fn roles(self) -> &'static [&'static str] {
        match self {
            Self::PerEntity(call) => call.roles,
            Self::Bulk(Bulk::Grouped(grouped)) => grouped.pass.roles,
            Self::Bulk(_) => &[],
        }
    }

    /// Whether the record itself holds the answer, so that nothing is asked or kept for it.
    #[must_use]
    pub const fn is_in_record(self) -> bool {
        !matches!(self, Self::PerEntity(_) | Self::Bulk(Bulk::Grouped(_)))
    }

    /// The pass that answers, where one does.
    #[must_use]
    pub const fn pass(self) -> Option<&'static Grouped> {
        match self {
            Self::Bulk(Bulk::Grouped(grouped)) => Some(grouped),
            _ => None,
        }
    }
}

/// Roles for alerts.
pub(super) const ALERT: &[&str] = &["Alert.Read.All", "Alert.ReadWrite.All"];
/// Roles for machines.
pub(super) const MACHINE: &[&str] = &["Machine.Read.All", "Machine.ReadWrite.All"];
/// The role for users.
pub(super) const USER: &[&str] = &["User.Read.All"];
/// The role for software.
pub(super) const SOFTWARE: &[&str] = &["Software.Read.All"];
/// The role for vulnerabilities.
pub(super) const VULNERABILITY: &[&str] = &["Vulnerability.Read.All"];
/// The role for recommendations.
pub(super) const RECOMMENDATION: &[&str] = &["SecurityRecommendation.Read.All"];

/// Machine × software × vulnerability. Source: vendor page "Export software vulnerabilities assessment per device".
pub(super) static WEAKNESSES: Pass = Pass {
    name: "vulnerability_export",
    roles: VULNERABILITY,
    read: Read::Export {
        pages: "/api/machines/SoftwareVulnerabilitiesByMachine",
        files: "/api/machines/SoftwareVulnerabilitiesExport",
        machine: "deviceId",
    },
};

/// The same relation as a list. Source: vendor page "List vulnerabilities by machine and software".
pub(super) static EXPOSURES: Pass = Pass {
    name: "machines_vulnerabilities",
    roles: VULNERABILITY,
    read: Read::List { path: "/api/vulnerabilities/machinesVulnerabilities", family: Family::VulnerabilityManagement },
};

/// Machine × software. Source: vendor page "Export software inventory assessment per device".
pub(super) static INVENTORY: Pass = Pass {
    name: "inventory_export",
    roles: SOFTWARE,
    read: Read::Export {
        pages: "/api/machines/SoftwareInventoryByMachine",
        files: "/api/machines/SoftwareInventoryExport",
        machine: "deviceId",
    },
};

/// All alerts that are kept. Source: vendor page "List alerts API".
pub(super) static ALERTS: Pass =
    Pass { name: "alerts_walk", roles: ALERT, read: Read::List { path: "/api/alerts", family: Family::Alerts } };

/// The machines of each recommendation. Source: vendor page "List devices by recommendation".
pub(super) static ADVISED: Pass = Pass {
    name: "recommendation_machines",
    roles: RECOMMENDATION,
    read: Read::Each {
        path: "/api/recommendations",
        each: "/api/recommendations/{id}/machineReferences",
        family: Family::VulnerabilityManagement,
    },
};

/// A count by different values of a property in an export.
pub(super) const fn export(
    pass: &'static Pass,
    by: &'static [&'static str],
    distinct: &'static [&'static str],
) -> Bulk {
    Bulk::Grouped(Grouped { pass, by, distinct, only: Only::Filled, silence: Silence::Unknown })
}

/// A count by different values of a property in lists of which all is read: no row means none.
pub(super) const fn walk(pass: &'static Pass, by: &'static [&'static str], distinct: &'static [&'static str]) -> Bulk {
    Bulk::Grouped(Grouped { pass, by, distinct, only: Only::Filled, silence: Silence::Zero })
}

/// A list that belongs to one entity.
pub(super) const fn list(path: &'static str, roles: &'static [&'static str], family: Family) -> PerEntity {
    PerEntity { path, roles, family, answer: Related::List }
}

/// The one thing that belongs to an entity.
pub(super) const fn single(path: &'static str, roles: &'static [&'static str], family: Family) -> PerEntity {
    PerEntity { path, roles, family, answer: Related::One }
}

/// A count whose flag has one spelling.
pub(super) const fn count(
    option: &'static str,
    field: &'static str,
    per_entity: PerEntity,
    bulk: &'static [Bulk],
    differs: &'static str,
) -> Count {
    Count { option, aliases: &[], field, per_entity, bulk, differs }
}
