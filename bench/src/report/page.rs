//! The report as one HTML page without external resources.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::plot::Figure;
use super::table::Table;
use crate::results::Report;

const STYLE: &str = "\
body { font: 16px/1.5 sans-serif; max-width: 960px; margin: 2rem auto; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; font-size: 14px; margin: 1rem 0; display: block; overflow-x: auto }
th, td { padding: .25rem .75rem; text-align: right; border-bottom: 1px solid #ddd }
th:first-child, td:first-child { text-align: left }
figure { margin: 2rem 0 } figcaption { color: #555 }
svg { max-width: 100%; height: auto }";

/// Renders the machine, the figures and the tables as HTML.
pub(crate) fn page(report: &Report, tables: &[Table], figures: &[Figure]) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                title { "Bailey: performance" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "Bailey: performance" }
                p {
                    "Medians, with the least and the greatest run. Systems take turns within a run, so \
                     compare systems within this report; times differ between machines and days."
                }
                (render_machine(report))
                @for figure in figures {
                    figure {
                        h2 { (figure.title) }
                        (PreEscaped(&figure.svg))
                        figcaption { (figure.caption) }
                    }
                }
                @for table in tables { (render_table(table)) }
            }
        }
    };
    page.into_string()
}

fn render_machine(report: &Report) -> Markup {
    html! {
        table {
            @for (name, value) in &report.machine {
                tr { td { (name.replace('_', " ")) } td { (value) } }
            }
        }
    }
}

fn render_table(table: &Table) -> Markup {
    html! {
        h2 { (table.title) }
        table {
            tr { @for cell in &table.header { th { (cell) } } }
            @for row in &table.rows {
                tr { @for cell in row { td { (cell) } } }
            }
        }
    }
}
