//! Writes a file's text with all its mutants in it.

use crate::sites::{Form, Site};
use std::ops::Range;

/// A mutant of a site, by its number in the build.
#[derive(Debug, Clone, Copy)]
pub struct Switched {
    /// Place in the file's sites.
    pub site: usize,
    /// Place in the site's choices.
    pub choice: usize,
    /// The number that switches it on.
    pub id: u32,
}

/// Where a mutant stands in the text written.
#[derive(Debug, Clone)]
pub struct Placed {
    /// The mutant.
    pub id: u32,
    /// Its own branch, if it has text of its own.
    pub branch: Range<usize>,
    /// The site with all branches.
    pub whole: Range<usize>,
}

/// The function behind every switch.
pub const SWITCH: &str = "crate::kerros_mutant";

struct Piece {
    at: usize,
    /// Closing pieces come before opening ones, inner ones first.
    order: (bool, isize),
    text: String,
    /// The site's branches inside this text.
    branches: Vec<(u32, Range<usize>)>,
    site: usize,
}

fn pieces(index: usize, site: &Site, mutants: &[Switched]) -> Vec<Piece> {
    let (mut open, mut branches) = (String::new(), Vec::new());
    let mut choose = |open: &mut String, id, text: String| {
        let start = open.len();
        open.push_str(&text);
        branches.push((id, start..open.len()));
    };
    let mut close = String::new();
    match site.form {
        Form::Expression => {
            open.push('(');
            for mutant in mutants {
                let text = &site.choices[mutant.choice].text;
                let branch = format!("if {SWITCH}({}) {{ {text} }} else ", mutant.id);
                choose(&mut open, mutant.id, branch);
            }
            open.push_str("{ ");
            close.push_str(" })");
        }
        Form::Condition => {
            for mutant in mutants {
                let text = match site.choices[mutant.choice].text.as_str() {
                    "true" => format!("{SWITCH}({}) || ", mutant.id),
                    _ => format!("!{SWITCH}({}) && ", mutant.id),
                };
                choose(&mut open, mutant.id, text);
            }
            open.push('(');
            close.push(')');
        }
        Form::LetCondition => {
            for mutant in mutants {
                choose(&mut open, mutant.id, format!("!{SWITCH}({}) && ", mutant.id));
            }
        }
        Form::Statement => {
            for mutant in mutants {
                choose(&mut open, mutant.id, format!("if !{SWITCH}({}) {{ ", mutant.id));
                close.push_str(" }");
            }
        }
        Form::Entry => {
            for mutant in mutants {
                let text = &site.choices[mutant.choice].text;
                let branch = format!(" if {SWITCH}({}) {{ return {text}; }}", mutant.id);
                choose(&mut open, mutant.id, branch);
            }
        }
    }
    let order = isize::try_from(index).unwrap_or(isize::MAX);
    let mut pieces = vec![Piece {
        at: site.range.start,
        order: (true, order),
        text: open,
        branches,
        site: index,
    }];
    if !close.is_empty() {
        pieces.push(Piece {
            at: site.range.end,
            order: (false, -order),
            text: close,
            branches: Vec::new(),
            site: index,
        });
    }
    pieces
}

/// The text with these mutants in it, and where each stands.
pub fn render(source: &str, sites: &[Site], mutants: &[Switched]) -> (String, Vec<Placed>) {
    let mut all = Vec::new();
    for group in mutants.chunk_by(|a, b| a.site == b.site) {
        all.extend(pieces(group[0].site, &sites[group[0].site], group));
    }
    all.sort_by_key(|piece| (piece.at, piece.order));
    let (mut out, mut at) = (String::with_capacity(source.len() * 2), 0);
    let (mut placed, mut wholes) = (Vec::new(), vec![0..0; sites.len()]);
    for piece in &all {
        out.push_str(&source[at..piece.at]);
        at = piece.at;
        let start = out.len();
        out.push_str(&piece.text);
        if piece.order.0 {
            wholes[piece.site] = start..out.len();
        } else {
            wholes[piece.site].end = out.len();
        }
        let shifted = |r: &Range<usize>| start + r.start..start + r.end;
        placed.extend(piece.branches.iter().map(|(id, r)| (*id, shifted(r), piece.site)));
    }
    out.push_str(&source[at..]);
    let placed = placed.into_iter().map(|(id, branch, site): (u32, Range<usize>, usize)| Placed {
        id,
        branch,
        whole: wholes[site].clone(),
    });
    (out, placed.collect())
}
