//! From which API a service would be read, with what role, and what would be other by another one. Pure: what is known of each goes
//! in, words come out.

use super::Verdict;
use crate::pipeline::choice::TOLD_MS;
use crate::service::{Api, Elsewhere, Field, ServiceDef, Take};
use mde_client::limits::DEFENDER_END_MS;
use mde_client::write_time;

/// An API from which the configuration lets a service be read.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The one; `None` is where the source itself is.
    pub elsewhere: Option<&'static Elsewhere>,
    /// Whether the application may.
    pub granted: bool,
}

/// What is to be said of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// Which of the places would be read; `None`: none may.
    pub chosen: Option<usize>,
    /// How it stands.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// A role to grant, and before which words; `None`: nothing to do.
    pub grant: Option<Grant>,
}

/// A role that should be granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// On which API.
    pub api: Api,
    /// The role.
    pub role: &'static str,
    /// Only once the classic API ends.
    pub later: bool,
}

/// The day on which the classic API is announced to end.
pub fn last_day() -> String {
    write_time(DEFENDER_END_MS).expect("a constant in this century")[..10].to_owned()
}

/// The application whose roles an API asks for, in the portal's words.
pub const fn portal(api: Api) -> &'static str {
    match api {
        Api::Mde => "WindowsDefenderATP",
        Api::Graph | Api::Hunting => "Microsoft Graph",
    }
}

/// Judges a service by the places that the configuration lets, best first.
pub fn judge(def: &'static ServiceDef, places: &[Place], now_ms: i64) -> Judged {
    let told = |place: &Place| (api_of(def, place), role_of(def, place));
    let chosen = places.iter().position(|place| place.granted);
    let Some(place) = chosen.map(|index| &places[index]) else {
        let roles: Vec<String> =
            places.iter().map(told).map(|(api, role)| format!("{role} on {}", portal(api))).collect();
        let found = format!("the application lacks {}", roles.join(", or "));
        let grant = places.first().map(told).map(|(api, role)| Grant { api, role, later: false });
        return Judged { chosen: None, verdict: Verdict::Denied, found, grant };
    };
    let (api, role) = told(place);
    let mut found = format!("by {}: {role} granted, {} answers", api.name(), path_of(def, place));
    let (mut verdict, mut grant) = (Verdict::Pass, None);
    let ends = now_ms >= DEFENDER_END_MS - TOLD_MS;
    if let Some(other) = place.elsewhere {
        found += &format!("; not there: {}", lacking(other));
        if let Some(first) = places.first().filter(|first| !first.granted) {
            let (api, role) = told(first);
            found += &format!("; {} would need {role}", api.name());
            if other.query.is_some() {
                (verdict, grant) = (Verdict::Warn, Some(Grant { api, role, later: false }));
            }
        }
    } else if api == Api::Mde {
        let end = last_day();
        match places.iter().find(|place| place.elsewhere.is_some()).and_then(|place| Some((place, place.elsewhere?))) {
            Some((next, other)) if next.granted => {
                let (api, role) = told(next);
                let lacking = lacking(other);
                found += &format!("; from {end} by {}: {role} granted; not there: {lacking}", api.name());
            }
            Some((next, _)) => {
                let (api, role) = told(next);
                found += &format!("; from {end} by {}, which would need {role}", api.name());
                if ends {
                    (verdict, grant) = (Verdict::Warn, Some(Grant { api, role, later: true }));
                }
            }
            None => {
                found += &format!("; only the classic API is read, which is announced to end on {end}");
                verdict = if ends { Verdict::Warn } else { verdict };
            }
        }
    }
    Judged { chosen, verdict, found, grant }
}

/// What another API does not have: entities, and properties of those that it has.
fn lacking(other: &Elsewhere) -> String {
    let nothing = |field: &&Field| matches!(field.take, Take::Nothing);
    let names: Vec<&str> = other.shape.iter().filter(nothing).map(|field| field.name).collect();
    match names.as_slice() {
        [] => other.lacks.to_owned(),
        names => format!("{}; null: {}", other.lacks, names.join(", ")),
    }
}

/// What a place belongs to.
pub fn api_of(def: &'static ServiceDef, place: &Place) -> Api {
    def.endpoint_at(place.elsewhere).api
}

/// The least of a place's roles.
fn role_of(def: &'static ServiceDef, place: &Place) -> &'static str {
    def.endpoint_at(place.elsewhere).roles[0]
}

/// Where a place is.
fn path_of(def: &'static ServiceDef, place: &Place) -> &'static str {
    def.endpoint_at(place.elsewhere).path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::{Key, SERVICES, permitted};
    use std::fmt::Write;
    use std::path::Path;

    /// The announced end, 100 days before.
    const NOW_MS: i64 = DEFENDER_END_MS - 100 * 24 * 3_600_000;

    /// Each list as it would be told to an application with such roles.
    fn told(classic: bool, graph: bool) -> String {
        let mut roles = Vec::new();
        let all = SERVICES
            .iter()
            .flat_map(|def| std::iter::once(&def.endpoint).chain(def.elsewhere.iter().map(|other| &other.endpoint)));
        for endpoint in all {
            let has = if endpoint.api == Api::Mde { classic } else { graph };
            roles.extend(endpoint.roles.first().filter(|_| has).map(|role| (*role).to_owned()));
        }
        let mut text = String::new();
        for def in SERVICES.iter().filter(|def| def.key != Key::RowHash) {
            let granted = |roles_of: &[&str]| permitted(roles_of, Some(&roles));
            let own = Place { elsewhere: None, granted: granted(def.endpoint.roles) };
            let others = def
                .elsewhere
                .iter()
                .map(|other| Place { elsewhere: Some(other), granted: granted(other.endpoint.roles) });
            let places: Vec<_> = std::iter::once(own).chain(others).collect();
            let Judged { verdict, found, grant, .. } = judge(def, &places, NOW_MS);
            writeln!(text, "{} {verdict:?}: {found}", def.name).unwrap();
            if let Some(Grant { api, role, later }) = grant {
                writeln!(text, "  grant {role} on {}{}", portal(api), if later { ", before that day" } else { "" })
                    .unwrap();
            }
        }
        text
    }

    #[test]
    fn each_set_of_roles_is_told_what_would_be_read_and_what_would_change() {
        for (name, classic, graph) in
            [("classic", true, false), ("graph", false, true), ("both", true, true), ("none", false, false)]
        {
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/check/{name}.txt"));
            let made = told(classic, graph);
            if std::env::var_os("UPDATE_GOLDEN").is_some() {
                std::fs::create_dir_all(file.parent().unwrap()).unwrap();
                std::fs::write(&file, &made).unwrap();
            }
            assert_eq!(made, std::fs::read_to_string(&file).unwrap(), "{name}");
        }
    }

    #[test]
    fn half_a_year_before_the_end_and_no_sooner_what_is_not_ready_is_a_warning() {
        let def = SERVICES[0];
        let own = Place { elsewhere: None, granted: true };
        let other = Place { elsewhere: def.elsewhere.first(), granted: false };
        let at = |now_ms| judge(def, &[own, other], now_ms);
        assert_eq!(at(DEFENDER_END_MS - TOLD_MS).verdict, Verdict::Warn);
        assert_eq!(at(DEFENDER_END_MS - TOLD_MS - 1).verdict, Verdict::Pass);
        assert_eq!(
            at(DEFENDER_END_MS).grant,
            Some(Grant { api: Api::Graph, role: "SecurityAlert.Read.All", later: true })
        );
    }
}
