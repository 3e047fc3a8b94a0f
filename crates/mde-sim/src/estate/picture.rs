//! Everything that the API shows at one moment, entity by entity: what a snapshot taken then must contain.

use super::View;
use crate::defender::alerts::Alerts;
use crate::defender::numbered::Numbered;
use crate::kind::Service;
use crate::odata::filter::EVER;
use crate::odata::{Arrangement, Collection, RowIter};
use crate::world::{Version, World};

/// The world at one moment. It keeps what its alerts take (24 octets each) and nothing of its machines.
pub struct Picture {
    /// Makes alerts from versions.
    alerts: Alerts,
    /// The versions of that moment.
    versions: Vec<Version>,
    /// The rest.
    view: View,
}

/// An entity as a list gives it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entity {
    /// Its id.
    pub id: String,
    /// Its JSON, octet for octet as in the list; of an alert with its evidence.
    pub body: String,
}

impl Picture {
    /// The world as it is now.
    pub(crate) fn of(world: &World) -> Self {
        let alerts = Alerts::of(world.clone());
        Self { versions: alerts.rows(EVER, Arrangement::default()).collect(), alerts, view: world.view() }
    }

    /// The entities of a service, each made when it is asked for. Hunting tables have rows and no entities: see
    /// [`World::hunting_rows`].
    pub fn entities(&self, service: Service) -> Box<dyn Iterator<Item = Entity> + Send + '_> {
        match service {
            Service::Alerts => Box::new(self.versions.iter().map(|version| entity(&self.alerts, version))),
            _ => match Numbered::list(self.view.clone(), service) {
                None => Box::new(std::iter::empty()),
                Some(list) => {
                    let numbers: RowIter<'_, u32> = self.view.numbers(service);
                    Box::new(numbers.map(move |number| entity(&list, &number)))
                }
            },
        }
    }

    /// How many entities a service has.
    pub fn count(&self, service: Service) -> usize {
        match service {
            Service::Alerts => self.versions.len(),
            _ => self.view.numbers(service).count(),
        }
    }
}

/// An entity of a list.
fn entity<C: Collection>(collection: &C, row: &C::Row) -> Entity {
    let mut body = Vec::new();
    collection.write(row, true, &mut body);
    Entity { id: collection.id(row), body: String::from_utf8(body).expect("JSON is UTF-8") }
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Picture({} alerts, {} machines)", self.versions.len(), self.view.estate.machines.len())
    }
}
