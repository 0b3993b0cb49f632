use serde_json::json;

use super::*;

/// The keys among these lines, `key` or `key = JSON`, that are secrets.
fn secrets<'t>(lines: &[&'t str]) -> Vec<&'t str> {
    let is_secret = |line: &&&str| {
        let (key, value) = line.split_once(" = ").unwrap_or((line, "\"hunter2\""));
        let value = TypedValue::from(serde_json::from_str::<Value>(value).unwrap());
        looks_secret(&Key::parse(key).unwrap(), &value)
    };
    lines.iter().filter(is_secret).copied().collect()
}

#[test]
fn the_last_words_of_a_name_make_it_a_secret() {
    let names = [
        "password",
        "smtp_password",
        "SMTP_PASSWORD2",
        "userPasswd",
        "pgpassword",
        "ssh-passphrase",
        "DB_PWD",
        "db_pass",
        "user_pin",
        "clientSecret",
        "api_key_secret",
        "botToken",
        "API_TOKEN",
        "aws_credentials",
        "credentials_json",
        "apiKey",
        "APIKEY",
        "api_key_old",
        "x-api-key",
        "AWS_SECRET_ACCESS_KEY",
        "SECRET_KEY_BASE",
        "private_key",
        "account_key",
        "jwt_signing_key",
        "api.key",
        "password.value",
        "connectionString",
        "slack_webhook_url",
        "password_hash",
        "secrets.github",
        "aws_credentials.id",
        "api_keys.openai",
        "a.passwords.b.c",
        "db.password.x",
        "db.password.a.b",
        "oauth.client_secret.current",
    ];

    assert_eq!(secrets(&names), names);
}

#[test]
fn what_only_talks_about_a_secret_is_none() {
    let names = [
        "token_limit",
        "max_tokens",
        "maxOutputTokens",
        "password_min_length",
        "secret_name",
        "token_url",
        "public_key",
        "project_key",
        "key_file",
        "private_key_path",
        "password_file",
        "token_ttl",
        "password_enabled",
        "api_key_id",
        "access_key_id",
        "client_id",
        "auth_type",
        "primary_key",
        "cache_key",
        "key",
        "keys",
        "compass",
        "render_pass",
        "gpio_pin.led",
        "author",
        "tokenizer",
        "secretary",
        "existing_secret",
        "image_pull_secrets",
        "eos_token",
        "require_password",
        "SECRETS_BACKEND",
        "bypass",
        "public_token",
        "hash",
        "monkey",
        "password.policy",
        "password.policy.name",
        "password.reset_url",
        "password.hash_algorithm",
        "login.password.label",
        "client_secret.file",
        "reset_password.greeting",
        "forgot_password.link",
        "access_token.audience",
    ];

    assert_eq!(secrets(&names), Vec::<&str>::new());
}

#[test]
fn the_kind_of_a_value_decides_with_its_name() {
    let lines = [
        "password = 1234",
        "secrets.door = 1234",
        "users = [{\"password\": {\"old\": \"b\"}}]",
        "api_key = \" x \"",
        "api_keys = [\"a\"]",
        "passwords = [1, 2]",
        "tokens = \"abc\"",
        "users = [{\"name\": \"a\", \"password\": \"b\"}]",
        "env = [{\"name\": \"DB_PASSWORD\", \"value\": \"a\"}]",
        "a = [[{\"b\": {\"token\": \"c\"}}]]",
    ];
    let none = [
        "password = null",
        "password = true",
        "RESET_PASSWORD = \"true\"",
        "password = \"\"",
        "password = \" \"",
        "passwords = []",
        "password = {}",
        "passwords = [\"\", null]",
        "token = 1",
        "tokens = 4096",
        "TOKENS = \"4096\"",
        "api_keys = [\"env:A\", \"file:b\"]",
        "users = [{\"name\": \"a\", \"password\": null}]",
        "secrets.rotation_days = 30",
        "password.min_length = 12",
        "password.rules.digits = 2",
    ];

    assert_eq!(secrets(&lines), lines);
    assert_eq!(secrets(&none), Vec::<&str>::new());
}

#[test]
fn some_values_are_secrets_under_any_name() {
    let lines = [
        "a = \"postgres://user:hunter2@host:5432/db\"",
        "a = \"redis://:hunter2@host\"",
        "a = \"amqp://user:hun/ter2@host\"",
        "a = [\"x\", \"see https://a:b@c/ for more\"]",
        "a = \"-----BEGIN RSA PRIVATE KEY-----\\nMII\\n-----END RSA PRIVATE KEY-----\"",
        "a = \"Server=h;Database=d;Password=hunter2;\"",
        "a = \"jdbc:postgresql://h/d?user=u&password=hunter2\"",
        "a = [\"DB_PASSWORD=hunter2\"]",
        "a = \"Bearer abc.def-123\"",
        "a = \"sp_0123456789abcdefghijABCDEFGHIJ000000\"",
    ];
    let none = [
        "a = \"https://example.org:8080/@user\"",
        "a = \"http://[::1]:8080/a@b\"",
        "a = \"postgres://user:${DB_PASSWORD}@host\"",
        "a = \"postgres://user@host/db\"",
        "a = \"user:pass@host\"",
        "a = \"-----BEGIN CERTIFICATE-----\"",
        "a = \"-----BEGIN PUBLIC KEY-----\"",
        "a = \"https://h/?token={token}&token_limit=3\"",
        "a = \"Basic authentication\"",
        "a = \"x = y == z\"",
        "a = \"sp_get_every_order_of_all_our_customers\"",
    ];

    assert_eq!(secrets(&lines), lines);
    assert_eq!(secrets(&none), Vec::<&str>::new());
}

#[test]
fn references_and_placeholders_are_no_secrets() {
    for text in ["env:DB_PASSWORD", "env:_a1", "file:/run/secrets/db", "file:x"] {
        assert!(is_reference(text), "{text}");
        assert!(!looks_secret(&Key::parse("password").unwrap(), &json!(text).into()), "{text}");
    }
    for text in ["env:", "env:1A", "env:A B", "env:A-B", "file:", "file: ", "http:x", "", "env"] {
        assert!(!is_reference(text), "{text}");
    }
    for text in ["${DB_PASSWORD}", "$DB_PASSWORD", "${db_password}"] {
        assert!(!looks_secret(&Key::parse("password").unwrap(), &json!(text).into()), "{text}");
    }
    for text in ["$hunter2", "${A:-hunter2}", "$", "${}", "env:A B"] {
        assert!(looks_secret(&Key::parse("password").unwrap(), &json!(text).into()), "{text}");
    }
}

#[test]
fn only_the_secret_parts_of_a_list_are_told() {
    let key = Key::parse("users").unwrap();
    let value = json!([{"name": "alice", "password": "hunter2"}, {"pin": "1234", "age": 30}]);

    assert_eq!(secrets_in(&key, &value), ["hunter2", "1234"]);
}
