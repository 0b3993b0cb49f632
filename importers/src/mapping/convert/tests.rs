use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Convert, Target};
use crate::mapping::refusal::Refusal;
use crate::mapping::unit::Scale;
use crate::value::{TypedValue, ValueType};

fn convert(to: &str, unit: &str) -> Convert {
    Convert { to: Target::named(to), scale: Scale::parse(unit).ok() }
}

fn forward(to: &str, unit: &str, value: Value) -> Result<Value, Refusal> {
    convert(to, unit).forward(value.into()).map(|it| it.json)
}

fn back(to: &str, unit: &str, value: Value, written: ValueType) -> Result<Value, Refusal> {
    convert(to, unit).back(&value.into(), Some(written)).map(|it| it.json)
}

#[test]
fn texts_become_what_they_say() {
    assert_eq!(forward("integer", "", json!("8080")), Ok(json!(8080)));
    assert_eq!(forward("float", "", json!("2")), Ok(json!(2.0)));
    assert_eq!(forward("boolean", "", json!("true")), Ok(json!(true)));
    assert_eq!(forward("json", "", json!("[1, null]")), Ok(json!([1, null])));
    assert_eq!(forward("list", "", json!("a, b c,d")), Ok(json!(["a", "b c", "d"])));
    assert_eq!(forward("list", "", json!(" ")), Ok(json!([])));
}

#[test]
fn values_become_texts() {
    assert_eq!(forward("string", "", json!(8080)), Ok(json!("8080")));
    assert_eq!(forward("string", "", json!(1.0)), Ok(json!("1.0")));
    assert_eq!(forward("string", "", json!(false)), Ok(json!("false")));
}

#[test]
fn a_value_of_the_type_already_stays() {
    for (to, value) in [
        ("string", json!("1")),
        ("integer", json!(1)),
        ("float", json!(-0.0)),
        ("boolean", json!(true)),
        ("json", json!(null)),
        ("json", json!({})),
        ("list", json!([1])),
    ] {
        assert_eq!(forward(to, "", value.clone()), Ok(value));
    }
}

#[test]
fn units_keep_the_type_unless_another_is_asked_for() {
    assert_eq!(forward("", "s -> ms", json!(2)), Ok(json!(2000)));
    assert_eq!(forward("", "ms -> s", json!(2000)), Ok(json!(2)));
    assert_eq!(forward("", "ms -> s", json!(1500)), Err(Refusal::NotWhole));
    assert_eq!(forward("float", "ms -> s", json!(1500)), Ok(json!(1.5)));
    assert_eq!(forward("float", "ms -> s", json!("100")), Ok(json!(0.1)));
    assert_eq!(forward("integer", "s -> ms", json!(0.1)), Ok(json!(100)));
}

#[test]
fn what_is_not_exact_is_refused() {
    assert_eq!(forward("integer", "", json!(1.5)), Err(Refusal::NotWhole));
    assert_eq!(forward("integer", "", json!("007")), Err(Refusal::NotANumber));
    assert_eq!(forward("integer", "", json!(true)), Err(Refusal::OtherType));
    assert_eq!(forward("float", "", json!(9007199254740993_i64)), Err(Refusal::TooManyDigits));
    assert_eq!(forward("boolean", "", json!("yes")), Err(Refusal::NotABoolean));
    assert_eq!(forward("json", "", json!("[1")), Err(Refusal::NotJson));
    assert_eq!(forward("json", "", json!("")), Err(Refusal::NotJson));
    assert_eq!(forward("json", "", json!(r#"[{"a":1,"a":2}]"#)), Err(Refusal::NotJson));
    assert_eq!(forward("json", "", json!("99999999999999999999")), Err(Refusal::NotJson));
    assert_eq!(forward("json", "", json!(r#"{"a":1}"#)), Err(Refusal::JsonMap));
    assert_eq!(forward("list", "", json!(1)), Err(Refusal::OtherType));
    assert_eq!(forward("string", "", json!([1])), Err(Refusal::OtherType));
    assert_eq!(forward("", "s -> ms", json!("1")), Err(Refusal::UnitOfNoNumber));
}

#[test]
fn the_way_back_keeps_the_type_of_the_file() {
    use ValueType::{Boolean, Float, Integer, String};

    assert_eq!(back("integer", "", json!(81), String), Ok(json!("81")));
    assert_eq!(back("integer", "", json!(81), Float), Ok(json!(81.0)));
    assert_eq!(back("float", "ms -> s", json!(2.5), Integer), Ok(json!(2500)));
    assert_eq!(back("float", "ms -> s", json!(2.5), String), Ok(json!("2500")));
    assert_eq!(back("list", "", json!(["a", "b"]), String), Ok(json!("a,b")));
    assert_eq!(back("json", "", json!([1, "a"]), String), Ok(json!("[1,\"a\"]")));
    assert_eq!(back("string", "", json!("true"), Boolean), Ok(json!(true)));
    assert_eq!(convert("", "").back(&json!("a").into(), Some(Integer)), Err(Refusal::NotANumber));
}

#[test]
fn the_way_back_is_refused_if_it_would_not_come_back() {
    use ValueType::{Integer, String};

    assert_eq!(back("float", "ms -> s", json!(0.0001), Integer), Err(Refusal::NotWhole));
    assert_eq!(back("list", "", json!(["a,b"]), String), Err(Refusal::NotJoinable));
    assert_eq!(back("list", "", json!([1]), String), Err(Refusal::NotJoinable));
    assert_eq!(back("integer", "", json!("x"), String), Err(Refusal::NotANumber));
    assert_eq!(back("string", "", json!("1.50"), ValueType::Float), Err(Refusal::OneWay));
}

#[test]
fn a_new_value_is_written_as_the_simplest_that_comes_back() {
    let written =
        |to, unit, value: Value| convert(to, unit).back(&value.into(), None).unwrap().json;

    assert_eq!(written("float", "ms -> s", json!(1.5)), json!(1500));
    assert_eq!(written("float", "ms -> s", json!(0.0001)), json!(0.1));
    assert_eq!(written("integer", "", json!(5)), json!(5));
    assert_eq!(written("json", "", json!("a")), json!("\"a\""));
}

#[test]
fn a_date_stays_a_date() {
    let date = TypedValue { json: json!("2026-05-01"), format: Some(crate::Format::Date) };

    assert_eq!(convert("string", "").forward(date.clone()), Ok(date.clone()));
    assert_eq!(convert("json", "").forward(date), Err(Refusal::NotJson));
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-5000_i64..5000).prop_map(Value::from),
        (-5000_i32..5000).prop_map(|it| Value::from(f64::from(it) / 8.0)),
        any::<f64>().prop_filter("finite", |it| it.is_finite()).prop_map(Value::from),
        "[a-c, ]{0,6}|true|-?[0-9]{1,3}|\\[1\\]".prop_map(Value::from),
        prop::collection::vec("[a-c]{0,2}", 0..3).prop_map(Value::from),
        Just(json!({})),
        Just(Value::Null),
    ]
}

proptest! {
    #[test]
    fn what_goes_back_comes_forward_again(
        value in any_value(),
        to in prop::sample::select(vec!["", "string", "integer", "float", "boolean", "json", "list"]),
        unit in prop::sample::select(vec!["", "ms -> s", "d -> min", "KiB -> MB", "deg -> rad"]),
        written in prop::sample::select(vec![
            None,
            Some(ValueType::String),
            Some(ValueType::Integer),
            Some(ValueType::Float),
            Some(ValueType::Boolean),
            Some(ValueType::Json),
        ]),
    ) {
        let convert = convert(to, unit);
        let value = TypedValue::from(value);

        if let Ok(forward) = convert.forward(value.clone())
            && let Ok(back) = convert.back(&forward, Some(value.value_type()))
        {
            prop_assert_eq!(back.value_type(), value.value_type());
        }
        if let Ok(back) = convert.back(&value, written) {
            prop_assert_eq!(convert.forward(back), Ok(value));
        }
    }
}
