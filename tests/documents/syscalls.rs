//! docs/syscalls.md: every allowed call, with its condition and its reason.

use std::collections::BTreeSet;

use sandbox::{ReadsFiles, Rule, Signs, UpdatesFile, child_rules, monitor_rules};

use crate::assert_table;

fn table(rules: &[&Rule]) -> String {
    // Flags are joined by what separates columns.
    let cell = |text: &str| text.replace('|', "\\|");
    let row =
        |rule: &&Rule| format!("| {} | {} | {} |\n", rule.name, cell(&rule.when.to_string()), cell(rule.why));
    let head = "\n| call | permitted with | for |\n|---|---|---|\n";
    let rows = rules.iter().map(row);
    [head.to_owned()].into_iter().chain(rows).chain(["\n".to_owned()]).collect()
}

// The other architecture lacks epoll_wait and poll, and has epoll_pwait and ppoll.
#[test]
#[cfg(target_arch = "x86_64")]
fn every_allowed_call_is_documented_with_its_reason() {
    let child: Vec<&Rule> = child_rules().collect();
    let of_monitor = |reads, updates, signs| monitor_rules(reads, updates, signs).collect::<Vec<&Rule>>();
    let monitor = of_monitor(ReadsFiles::No, UpdatesFile::No, Signs::No);
    let reader = of_monitor(ReadsFiles::Yes, UpdatesFile::No, Signs::No);
    let updater = of_monitor(ReadsFiles::No, UpdatesFile::Yes, Signs::No);
    let signer = of_monitor(ReadsFiles::No, UpdatesFile::No, Signs::Yes);
    let is_in = |rules: &[&Rule], rule: &Rule| rules.iter().any(|other| std::ptr::eq(*other, rule));
    let without = |rules: &[&'static Rule], others: &[&Rule]| -> Vec<&Rule> {
        rules.iter().copied().filter(|rule| !is_in(others, rule)).collect()
    };
    let both: Vec<&Rule> = child.iter().copied().filter(|rule| is_in(&monitor, rule)).collect();
    let document = "docs/syscalls.md";
    assert_table(document, "both", &table(&both));
    assert_table(document, "child", &table(&without(&child, &monitor)));
    assert_table(document, "monitor", &table(&without(&monitor, &child)));
    assert_table(document, "reads files", &table(&without(&reader, &monitor)));
    assert_table(document, "updates file", &table(&without(&updater, &monitor)));
    assert_table(document, "signs", &table(&without(&signer, &monitor)));

    let all: BTreeSet<&str> =
        child.iter().chain(&reader).chain(&updater).chain(&signer).map(|rule| rule.name).collect();
    let text = crate::read(document);
    let rows = text.lines().filter_map(|line| line.strip_prefix("| ")?.split(' ').next());
    let documented: BTreeSet<&str> = rows.filter(|name| *name != "call").collect();
    assert_eq!(documented, all);
}
