//! Any bytes are a plan or an error; a plan that was read is written and read
//! as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rbc_ir::Plan;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(plan) = Plan::from_json(bytes) {
        let text = plan.to_canonical_json();
        assert_eq!(Plan::from_json(text.as_bytes()).ok().as_ref(), Some(&plan));
    }
});
