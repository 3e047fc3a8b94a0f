//! `explain` as a search box.

use super::layout;
use crate::pipeline::explain::{Explained, told};
use crate::web::picture::Picture;
use maud::{Markup, html};

/// The box, and what was found; `None`: nothing was asked.
pub fn explain(picture: &Picture, id: &str, explained: Option<Result<Explained, String>>) -> Markup {
    let content = html! {
        h1 { "Where is a record?" }
        form.search.wide method="get" action="/explain" role="search" {
            input type="search" name="id" value=(id) placeholder="id as the API gives it; of a hunting row its hash" aria-label="Id of a record"
                autocomplete="off" spellcheck="false" autofocus;
            button { "Explain" }
        }
        @match explained {
            None => {
                p.none { "Alerts, investigations and other records with versions: 30 days back. Machines and other entities of snapshots: the newest snapshot." }
            }
            Some(Err(error)) => { p.error role="alert" { "failed to " (error) } }
            Some(Ok(explained)) => {
                h2 { code { (explained.id) } }
                ul.story { (story(&explained)) }
            }
        }
    };
    layout(picture, "Explain", &content)
}

/// Line by line.
fn story(explained: &Explained) -> Markup {
    let mut lines = Vec::new();
    told(explained, &mut |depth, line: &str| lines.push((depth, line.to_owned())));
    html! { @for (depth, line) in lines { li class={ "depth" (depth) } { (line) } } }
}
