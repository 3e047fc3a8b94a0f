//! One entity by its id: asked for once, whole. There is nothing to go on from, so nothing is remembered.

use super::{Answer, Failure, Machine, Now, Outcome, PullError, Row, Step};

/// One entity of a list.
#[derive(Debug)]
pub struct Single {
    /// Its id; `None` once it was read.
    wanted: Option<String>,
    /// Start of the pull. Unit: milliseconds since 1970, UTC.
    pulled_ms: i64,
}

impl Single {
    /// The entity with that id.
    #[must_use]
    pub const fn new(id: String) -> Self {
        Self { wanted: Some(id), pulled_ms: 0 }
    }
}

impl Machine for Single {
    fn begin(&mut self, now: Now) -> Outcome {
        self.pulled_ms = now.ms;
        Outcome::default()
    }

    fn pulled_ms(&self) -> i64 {
        self.pulled_ms
    }

    fn next(&mut self, _now: Now) -> Option<Step> {
        self.wanted.clone().map(Step::One)
    }

    fn row(&mut self, _row: Row<'_>) -> Result<Option<i64>, PullError> {
        Ok(Some(i64::MAX))
    }

    fn answered(&mut self, _answer: Answer) -> Result<Outcome, PullError> {
        self.wanted = None;
        Ok(Outcome::default())
    }

    /// There is no way around one entity.
    fn failed(&mut self, _failure: &Failure, _now: Now) -> Option<Outcome> {
        None
    }

    fn checkpoint_ms(&self) -> Option<i64> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pull::More;

    const NOW: Now = Now { ms: 7, sure: true };

    #[test]
    fn it_is_asked_for_until_it_has_been_read_and_then_no_more() {
        let mut machine = Single::new("a/b".to_owned());
        machine.begin(NOW);
        let step = Some(Step::One("a/b".to_owned()));
        assert_eq!((machine.pulled_ms(), machine.next(NOW), machine.next(NOW)), (7, step.clone(), step));
        assert_eq!(machine.failed(&Failure::NotFound, NOW), None);
        machine.answered(Answer::Rows(More::Nothing)).expect("an answer");
        assert_eq!(machine.next(NOW), None);
    }
}
