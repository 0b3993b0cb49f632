//! A report as one page that needs nothing else.

use super::{Item, Report};

const STYLE: &str = "\
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;\
color:#1b1f24;background:#fff}\
table{border-collapse:collapse;width:100%;margin:1rem 0}\
th,td{border-bottom:1px solid #d5dae0;padding:.35rem .6rem;text-align:left;vertical-align:top}\
td{overflow-wrap:anywhere}code{font:13px ui-monospace,monospace}\
.new{background:#fff6d6}small{color:#57606a}\
@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}\
th,td{border-color:#30363d}.new{background:#3a2f0b}small{color:#9198a1}}";

/// The report as an HTML page. Nothing of what it tells is markup.
pub fn html(report: &Report) -> String {
    let Report { at, revision, epoch, .. } = report;
    let at = escaped(at);
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>Drift at {at}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<h1>Drift at {at}</h1>\n\
         <p>{}<br><small>revision {revision} of {}</small></p>\n",
        escaped(&report.summary()),
        escaped(epoch),
    );
    let mut place = None;
    for item in &report.drift {
        let here = (&item.namespace, &item.layer);
        if place != Some(here) {
            if place.is_some() {
                page.push_str("</table>\n");
            }
            place = Some(here);
            page.push_str(&format!(
                "<h2>{}, layer {}</h2>\n<table>\n<tr><th>what<th>is<th>file<th>last import\
                 <th>live</tr>\n",
                escaped(here.0),
                escaped(here.1)
            ));
        }
        page.push_str(&row(item));
    }
    if place.is_some() {
        page.push_str("</table>\n");
    }
    page.push_str("</body>\n</html>\n");
    page
}

fn row(item: &Item) -> String {
    let class = if item.new { " class=\"new\"" } else { "" };
    let place = item.origin.as_ref().or(item.reason.as_ref());
    let place = place.map(|it| format!("<br><small>{}</small>", escaped(it))).unwrap_or_default();
    let new = if item.new { " (new)" } else { "" };
    let sides = item.sides().map(|(_, value)| format!("<td><code>{}</code>", escaped(value)));
    format!(
        "<tr{class}><td><code>{}</code>{place}<td>{}{new}{}</tr>\n",
        escaped(&item.name),
        escaped(&item.kind),
        sides.concat()
    )
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for it in text.chars() {
        match it {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(it),
        }
    }
    escaped
}
