//! The words for how a stream or an output stands, each with one sentence of advice.

use serde::{Deserialize, Serialize};
use std::fmt;

/// One table for a word's name and advice.
macro_rules! words {
    ($(#[$about:meta])* $kind:ident { $($(#[$doc:meta])* $word:ident = $name:literal: $advice:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum $kind { $($(#[$doc])* $word,)+ }

        impl $kind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$word),+];

            /// As it is shown.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$word => $name,)+ }
            }

            /// What to do about it, in one sentence.
            #[must_use]
            pub const fn advice(self) -> &'static str {
                match self { $(Self::$word => $advice,)+ }
            }
        }

        impl fmt::Display for $kind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }
    };
}

words! {
    /// How a stream stands.
    Word {
        /// No pull has ended since the start.
        #[default]
        Starting = "starting": "nothing to do: the first pull has not ended yet",
        /// Its first pull, or another node's, comes first.
        Waiting = "waiting": "nothing to do: its next pull is not due yet",
        /// A pull is under way.
        Pulling = "pulling": "nothing to do: a pull is under way",
        /// The last pull read everything there was.
        Current = "current": "nothing to do",
        /// What has been read lies further back than two periods.
        Behind = "behind": "wait while the checkpoint moves; if it stands still, look at quota, outbox and the log",
        /// The outbox or the disk is full.
        Paused = "paused": "see which output takes nothing, or free some disk: pulling goes on by itself once there is room",
        /// The API asked us to wait.
        Throttled = "throttled": "nothing to do; where other tools use the same application, lower `quota: {share}`",
        /// The credentials are refused.
        Auth = "auth": "check the application's secret or certificate and when it expires",
        /// A role is missing.
        Denied = "denied": "grant the application the role that is missing, with admin consent",
        /// The API fails, or answers what cannot be right.
        Outage = "outage": "nothing to do: the window is kept and asked for again",
        /// More than is believable is gone at once.
        Drift = "drift": "check whether so much was really removed: nothing is taken for gone until the next snapshot agrees",
        /// Something is set aside.
        Incomplete = "incomplete": "nothing to do: what is set aside is tried again each hour until it can be read",
        /// The store fails.
        Store = "store": "check the disk below the state folder",
    }
}

words! {
    /// How an output stands.
    OutputWord {
        /// Nothing waits for it.
        #[default]
        Idle = "idle": "nothing to do",
        /// It takes and confirms.
        Connected = "connected": "nothing to do",
        /// It has failed and is tried again.
        Retrying = "retrying": "check the receiver and the way to it: what is not confirmed is sent again",
        /// It refuses events for good.
        Refusing = "refusing": "see why in the log, mend the receiver or the configuration, then `state replay`",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A word's name, advice and JSON form.
    fn told<T: Serialize + Copy>(word: T, name: fn(T) -> &'static str, advice: fn(T) -> &'static str) -> [String; 3] {
        [name(word).to_owned(), advice(word).to_owned(), serde_json::to_string(&word).expect("a word")]
    }

    #[test]
    fn every_word_is_written_as_it_is_named_and_gives_advice_in_one_sentence() {
        let streams = Word::ALL.iter().map(|word| told(*word, Word::name, Word::advice));
        let outputs = OutputWord::ALL.iter().map(|word| told(*word, OutputWord::name, OutputWord::advice));
        for [name, advice, written] in streams.chain(outputs) {
            assert_eq!(written, format!("\"{name}\""));
            assert!(!advice.is_empty() && !advice.contains(". "), "{name}");
        }
    }
}
