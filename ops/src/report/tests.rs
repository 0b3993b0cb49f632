use std::collections::BTreeMap;

use super::{Item, Report, html, markdown};

fn report() -> Report {
    let item = |name: &str, live: &str, new| Item {
        namespace: "default".into(),
        layer: "base".into(),
        name: name.into(),
        kind: "edited-here".into(),
        source: Some("a.yaml".into()),
        file: Some("1".into()),
        seed: None,
        live: Some(live.into()),
        origin: Some("a.yaml:1:4".into()),
        reason: None,
        hash: String::new(),
        new,
    };
    let evil = "\"</code><script>alert('`|\n`')</script>&\"";
    Report {
        job: None,
        at: "2026-05-01T12:00:00.000Z".into(),
        epoch: "e".into(),
        revision: 7,
        files: 1,
        ignored: 2,
        namespaces: BTreeMap::new(),
        drift: vec![item("a.b", "2", false), item("c\"<b>|\"", evil, true)],
    }
}

#[test]
fn a_page_says_what_is_out_of_line_and_holds_no_markup_of_it() {
    let page = html(&report());
    let body = page.split_once("<body>").unwrap().1;

    insta::assert_snapshot!(body, @r#"

    <h1>Drift at 2026-05-01T12:00:00.000Z</h1>
    <p>2 out of line, 1 of them new, 2 ignored; files compared: 1<br><small>revision 7 of e</small></p>
    <h2>default, layer base</h2>
    <table>
    <tr><th>what<th>is<th>file<th>last import<th>live</tr>
    <tr><td><code>a.b</code><br><small>a.yaml:1:4</small><td>edited-here<td><code>1</code><td><code>(none)</code><td><code>2</code></tr>
    <tr class="new"><td><code>c&quot;&lt;b&gt;|&quot;</code><br><small>a.yaml:1:4</small><td>edited-here (new)<td><code>1</code><td><code>(none)</code><td><code>&quot;&lt;/code&gt;&lt;script&gt;alert(&#39;`|
    `&#39;)&lt;/script&gt;&amp;&quot;</code></tr>
    </table>
    </body>
    </html>
    "#);
}

#[test]
fn markdown_stays_a_table_whatever_values_say() {
    insta::assert_snapshot!(markdown(&report()), @r#"
    # Drift at 2026-05-01T12:00:00.000Z

    2 out of line, 1 of them new, 2 ignored; files compared: 1; revision 7

    ## default, layer base

    | | what | is | file | last import | live |
    |---|---|---|---|---|---|
    |  | `a.b` a.yaml:1:4 | edited-here | `1` | `(none)` | `2` |
    | new | `c"<b>\|"` a.yaml:1:4 | edited-here | `1` | `(none)` | ``"</code><script>alert('`\| `')</script>&"`` |
    "#);
}
