//! The file that `opteadm apply` takes: whatever the bytes, it is read or refused with a line of the file; what is read is written in
//! both formats to the same, and the way from nothing to it and back is made of steps that a driver would take.

use opteadm::config::{Config, Current, Format, Plan};

/// Parses the bytes as a configuration.
pub fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let config = match Config::parse(&text) {
        Ok(config) => config,
        Err(error) => {
            let lines = text.lines().count().max(1);
            assert!((1..=lines + 1).contains(&error.line), "{error}");
            assert!(!error.message.is_empty() && !error.message.contains('\n'));
            return;
        }
    };
    for format in [Format::Toml, Format::Json] {
        let written = config.to_text(format).unwrap_or_else(|e| panic!("{e}"));
        let again = Config::parse(&written).unwrap_or_else(|e| panic!("{e}\n{written}"));
        assert_eq!(again, config, "{written}");
    }
    let plan = Plan::new(&Current::default(), &config).unwrap_or_else(|e| panic!("{e}"));
    for step in plan.steps() {
        step.validate().unwrap_or_else(|e| panic!("{e}: {step:?}"));
    }
    let is_empty = config == Config::default();
    assert_eq!(plan.changes().is_empty(), is_empty, "{config:?}");
}
