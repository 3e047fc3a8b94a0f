//! Machines, software, vulnerabilities, recommendations, investigations, and what belongs to one of them.

use super::alerts::Alerts;
use super::exposures::Exposures;
use super::numbered::{Numbered, Sort, Source};
use super::{Call, error, list};
use crate::delivery::Answer;
use crate::estate::{Advice, View};
use crate::kind::Service;
use crate::odata::Collection;

/// `GET /api/{service}`
pub(super) fn list(call: &Call<'_>, service: Service) -> Result<Answer, Answer> {
    let view = call.core.world.view();
    if service == Service::Machines && view.estate.machines.len() == 0 && call.core.empty_is_404 {
        return Err(error::not_found("Machines were not found"));
    }
    list::answer(call, Numbered::list(view, service).expect("only numbered services are listed here"))
}

/// `GET /api/{service}/{id}`
pub(super) fn single(call: &Call<'_>, service: Service) -> Result<Answer, Answer> {
    let view = call.core.world.view();
    let number = found(&view, call, service)?;
    let list = Numbered::list(view, service).expect("only numbered services are listed here");
    one(call, &list, number)
}

/// `GET /api/machines/{id}/logonusers`
pub(super) fn logon_users(call: &Call<'_>) -> Result<Answer, Answer> {
    related(call, Service::Machines, Sort::User, |view, machine| Source::These(view.logon_users(machine)))
}

/// `GET /api/machines/{id}/alerts`
pub(super) fn machine_alerts(call: &Call<'_>) -> Result<Answer, Answer> {
    let view = call.core.world.view();
    let machine = found(&view, call, Service::Machines)?;
    let id = call.core.world.machine_id(machine);
    list::answer(call, Alerts::of_machine(call.core.world.clone(), id))
}

/// `GET /api/machines/{id}/software`
pub(super) fn machine_software(call: &Call<'_>) -> Result<Answer, Answer> {
    related(call, Service::Machines, Sort::Software, |view, machine| {
        let profile = view.estate.profile_of(machine);
        Source::These(view.estate.catalog.software_on(profile).map(|(product, _)| product).collect())
    })
}

/// `GET /api/machines/{id}/vulnerabilities`
pub(super) fn machine_vulnerabilities(call: &Call<'_>) -> Result<Answer, Answer> {
    related(call, Service::Machines, Sort::Vulnerability, |view, machine| {
        let profile = view.estate.profile_of(machine);
        Source::These(view.estate.catalog.vulnerabilities_on(profile).into_iter().collect())
    })
}

/// `GET /api/machines/{id}/recommendations`
pub(super) fn machine_recommendations(call: &Call<'_>) -> Result<Answer, Answer> {
    related(call, Service::Machines, Sort::Recommendation, |view, machine| {
        Source::These(view.recommendations_on(view.estate.profile_of(machine)))
    })
}

/// `GET /api/machines/{id}/getmissingkbs`
pub(super) fn machine_kbs(call: &Call<'_>) -> Result<Answer, Answer> {
    related(call, Service::Machines, Sort::Kb, |view, machine| {
        let profile = view.estate.profile_of(machine);
        Source::These(view.estate.catalog.missing_kbs_on(profile).into_iter().collect())
    })
}

/// `GET /api/Software/{id}/distributions`
pub(super) fn distributions(call: &Call<'_>) -> Result<Answer, Answer> {
    let view = call.core.world.view();
    let product = found(&view, call, Service::Software)?;
    let versions = view.versions(product);
    list::answer(call, Numbered::related(view, Sort::Distribution(product), Source::These(versions)))
}

/// `GET /api/Software/{id}/machineReferences`
pub(super) fn software_machines(call: &Call<'_>) -> Result<Answer, Answer> {
    related(call, Service::Software, Sort::MachineReference, |view, product| {
        Source::Profiles(view.estate.catalog.installed(product))
    })
}

/// `GET /api/Software/{id}/vulnerabilities`
pub(super) fn software_vulnerabilities(call: &Call<'_>) -> Result<Answer, Answer> {
    related(call, Service::Software, Sort::Vulnerability, |view, product| {
        Source::These(view.discovered(product).collect())
    })
}

/// `GET /api/Software/{id}/getmissingkbs`
pub(super) fn software_kbs(call: &Call<'_>) -> Result<Answer, Answer> {
    related(call, Service::Software, Sort::Kb, |view, product| {
        Source::These(view.missing_kbs_of(product).into_iter().collect())
    })
}

/// `GET /api/vulnerabilities/{id}/machineReferences`
pub(super) fn vulnerability_machines(call: &Call<'_>) -> Result<Answer, Answer> {
    related(call, Service::Vulnerabilities, Sort::MachineReference, |view, found| {
        Source::Profiles(view.estate.catalog.exposed_to(found))
    })
}

/// `GET /api/vulnerabilities/machinesVulnerabilities`
pub(super) fn machines_vulnerabilities(call: &Call<'_>) -> Result<Answer, Answer> {
    list::answer(call, Exposures::of(call.core.world.view()))
}

/// `GET /api/recommendations/{id}/software`: one product, 404 when the advice is about a setting.
pub(super) fn recommendation_software(call: &Call<'_>) -> Result<Answer, Answer> {
    let view = call.core.world.view();
    let number = found(&view, call, Service::Recommendations)?;
    match view.estate.catalog.advice(number) {
        Advice::Update(product) => {
            let list = Numbered::list(view, Service::Software).expect("software is a numbered service");
            one(call, &list, product)
        }
        Advice::Configure(_) => Err(error::not_found(&format!("Software of {} was not found", call.id))),
    }
}

/// `GET /api/recommendations/{id}/machineReferences`
pub(super) fn recommendation_machines(call: &Call<'_>) -> Result<Answer, Answer> {
    related(call, Service::Recommendations, Sort::MachineReference, |view, number| {
        let catalog = &view.estate.catalog;
        Source::Profiles(catalog.exposed_without(catalog.advice(number)))
    })
}

/// `GET /api/recommendations/{id}/vulnerabilities`
pub(super) fn recommendation_vulnerabilities(call: &Call<'_>) -> Result<Answer, Answer> {
    related(call, Service::Recommendations, Sort::Vulnerability, |view, number| {
        Source::These(match view.estate.catalog.advice(number) {
            Advice::Update(product) => view.discovered(product).collect(),
            Advice::Configure(_) => Vec::new(),
        })
    })
}

/// A list that belongs to the entity in the path.
fn related(
    call: &Call<'_>,
    owner: Service,
    sort: Sort,
    source: impl FnOnce(&View, u32) -> Source,
) -> Result<Answer, Answer> {
    let view = call.core.world.view();
    let number = found(&view, call, owner)?;
    let source = source(&view, number);
    list::answer(call, Numbered::related(view, sort, source))
}

/// The number of the entity in the path.
fn found(view: &View, call: &Call<'_>, service: Service) -> Result<u32, Answer> {
    let (number, word) = match service {
        Service::Machines => (view.find_machine(&call.id), "Machine"),
        Service::Software => (view.find_software(&call.id), "Software"),
        Service::Vulnerabilities => (view.find_vulnerability(&call.id), "Vulnerability"),
        Service::Recommendations => (view.find_recommendation(&call.id), "Recommendation"),
        Service::Investigations => (view.find_investigation(&call.id), "Investigation"),
        Service::Alerts | Service::AdvancedHunting | Service::Incidents => (None, "Entity"),
    };
    number.ok_or_else(|| error::not_found(&format!("{word} {} was not found", call.id)))
}

/// One entity of a list.
fn one(call: &Call<'_>, list: &Numbered, number: u32) -> Result<Answer, Answer> {
    call.core.scenario.answered(call.endpoint.kind, 0, &call.core.world);
    if call.core.scenario.is_poisoned(std::iter::once(list.id(&number)), false) {
        return Err(error::internal());
    }
    let mut body = Vec::new();
    list.write(&number, true, &mut body);
    Ok(Answer::odata(body))
}
