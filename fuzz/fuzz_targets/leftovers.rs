#![no_main]

use serde_json::value::RawValue;
use trunkline::event::leftovers::{self, Class, Classes, Names};
use trunkline::event::privacy::Privacy;
use trunkline::json::Members;

static CLASSES: Classes =
    Classes { marked: &[("a", Class::Number), ("b.c", Class::Name)], otherwise: Class::Plain, names: Names::Exact };

libfuzzer_sys::fuzz_target!(|text: &str| {
    let Ok(members) = Members::parse(text) else { return };
    if let Ok(Some(object)) = leftovers::write(&members, &CLASSES, &Privacy::default()) {
        serde_json::from_slice::<&RawValue>(&object).expect("leftovers are valid JSON");
    }
});
