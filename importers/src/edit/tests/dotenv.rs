use serde_json::json;

use super::{set, unset};

fn after(text: &str, asked: serde_json::Value) -> String {
    set(".env", text, asked)
}

#[test]
fn quotes_stay_while_the_text_fits() {
    let text = "export A=1 # a\nB='x' # b\nC=\"$HOME/x\"\nD=\"\\$x\"\nE=\nF= # f\nG=a b\n";
    let asked = json!({"A": "two words", "B": "it's", "C": "$HOME/y", "D": "$y", "E": true, "F": 1.0, "G": "c d"});

    assert_eq!(
        after(text, asked),
        "export A='two words' # a\nB=\"it's\" # b\nC=\"$HOME/y\"\nD=\"\\$y\"\nE=true\nF=1.0 # f\nG=c d\n"
    );
}

#[test]
fn new_variables_go_last_and_have_the_quotes_they_need() {
    let asked = json!({"B": "a#b", "C": " x", "D": "it's\n", "E": "", "F": "$x", "G": "a\\b\r"});

    assert_eq!(
        after("export A=1\r\n# end\r\n", asked),
        "export A=1\r\nexport B='a#b'\r\nexport C=' x'\r\nexport D=\"it's\\n\"\r\nexport E=\r\nexport F='$x'\r\nexport G=\"a\\\\b\\r\"\r\n# end\r\n"
    );
    assert_eq!(after("A=1", json!({"B": 2})), "A=1\nB=2");
}

#[test]
fn numbers_are_compared_as_text() {
    assert_eq!(
        after("A=1.0 # c\nB='true'\n", json!({"A": 1.0, "B": true})),
        "A=1.0 # c\nB='true'\n"
    );
}

#[test]
fn removed_variables_take_their_lines() {
    assert_eq!(unset(".env", "# c\nA='x\ny' # a\nB=1\nC=2", &["A", "C"]), "# c\nB=1");
}
