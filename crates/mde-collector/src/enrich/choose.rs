//! Which answer a count is had by. Pure: what is known goes in, the choice and its reason come out.

use crate::service::{Answer, Count, Method};

/// What the choice depends on.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// What the configuration says.
    pub method: Method,
    /// Entities for each of which a call would be made; `None` where their number has no bound that is known.
    pub entities: Option<u64>,
    /// Calls in an hour that a whole refresh may take.
    pub affordable: u64,
    /// The name of the answer that was chosen before.
    pub before: Option<&'a str>,
}

/// A choice, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// `None`: the count cannot be had.
    pub answer: Option<Answer>,
    /// In words for an operator.
    pub reason: &'static str,
}

/// Chooses. `may`: whether an answer's roles are granted and its endpoint is there.
pub fn choose(count: &'static Count, facts: Facts<'_>, may: impl Fn(Answer) -> bool) -> Choice {
    let each = Answer::PerEntity(&count.per_entity);
    let per_entity = may(each).then_some(each);
    let bulk = count.bulk.iter().map(Answer::Bulk).find(|answer| may(*answer));
    let (answer, reason) = match (facts.method, per_entity, bulk) {
        (Method::PerEntity, Some(_), _) => (per_entity, "as configured"),
        (Method::PerEntity, None, _) => (None, "the application lacks the role for it"),
        (Method::Bulk, _, Some(_)) => (bulk, "as configured"),
        (_, Some(_), None) => (per_entity, "there is no other way that the application may use"),
        (_, None, None) => (None, "the application lacks the role for it"),
        (Method::Auto, None, Some(_)) => (bulk, "the application lacks the role for a call for each entity"),
        (Method::Auto, Some(_), Some(_)) if fits(facts, each.name()) => {
            (per_entity, "a call for each entity fits into a quarter of the hourly quota")
        }
        (Method::Auto, Some(_), Some(_)) => {
            (bulk, "a call for each entity would take more than a quarter of the hourly quota")
        }
    };
    Choice { answer, reason }
}

/// Whether a call for each entity is affordable. What was chosen before stays until the need is twice or half as large: values
/// by two methods can differ, and must not jump to and fro.
fn fits(Facts { entities, affordable, before, .. }: Facts<'_>, per_entity: &str) -> bool {
    let Some(entities) = entities else { return false };
    match before {
        None | Some("") => entities <= affordable,
        Some(before) if before == per_entity => entities < affordable.saturating_mul(2),
        Some(_) => entities.saturating_mul(2) <= affordable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::find;

    /// A count with two answers for all, and one with none.
    fn counts() -> (&'static Count, &'static Count) {
        let machines = find("machines").expect("a service");
        let named = |field| machines.counts.iter().find(|count| count.field == field).expect("a count");
        (named("related_vulnerabilities"), named("related_logon_users"))
    }

    fn name(choice: Choice) -> Option<&'static str> {
        choice.answer.map(Answer::name)
    }

    const AUTO: Facts<'static> = Facts { method: Method::Auto, entities: Some(300), affordable: 300, before: None };

    #[test]
    fn a_call_for_each_is_chosen_where_all_fit_and_kept_until_the_need_is_twice_or_half() {
        let (count, _) = counts();
        let chosen = |entities, before| {
            name(choose(count, Facts { entities: Some(entities), before, ..AUTO }, |_| true)).expect("it can be had")
        };
        let export = "vulnerability_export";
        assert_eq!([chosen(300, None), chosen(301, None)], ["per_entity", export]);
        assert_eq!([chosen(599, Some("per_entity")), chosen(600, Some("per_entity"))], ["per_entity", export]);
        assert_eq!([chosen(151, Some(export)), chosen(150, Some(export))], [export, "per_entity"]);
    }

    #[test]
    fn a_missing_role_leads_to_the_next_answer_and_the_last_one_to_none() {
        let (count, alone) = counts();
        let without = |names: &'static [&'static str], method| {
            name(choose(count, Facts { method, ..AUTO }, move |answer| !names.contains(&answer.name())))
        };
        assert_eq!(without(&["per_entity"], Method::Auto), Some("vulnerability_export"));
        assert_eq!(without(&["per_entity", "vulnerability_export"], Method::Auto), Some("machines_vulnerabilities"));
        assert_eq!(without(&["vulnerability_export"], Method::Bulk), Some("machines_vulnerabilities"));
        assert_eq!(without(&["per_entity"], Method::PerEntity), None, "what was asked for, or nothing");
        assert_eq!(name(choose(alone, AUTO, |_| false)), None);
    }

    #[test]
    fn what_no_answer_for_all_tells_is_asked_for_each_however_many_there_are() {
        let (_, alone) = counts();
        for method in [Method::Auto, Method::Bulk] {
            let facts = Facts { method, entities: Some(50_000), ..AUTO };
            assert_eq!(name(choose(alone, facts, |_| true)), Some("per_entity"));
        }
    }

    #[test]
    fn entities_without_a_known_bound_are_never_asked_one_by_one_unless_told_to() {
        let (count, _) = counts();
        let chosen = |method| name(choose(count, Facts { method, entities: None, ..AUTO }, |_| true));
        assert_eq!(chosen(Method::Auto), Some("vulnerability_export"));
        assert_eq!(chosen(Method::PerEntity), Some("per_entity"));
    }
}
