//! Software breakpoints follow their virtual addresses: what these lead to changes, and what stands
//! there as well. Debug registers stand in where there is no memory.

#[path = "remap/guest.rs"]
mod guest;
mod routines;

use guest::{ADD, ALIAS, AND, EOR, Guest, LOWER, ORR, PAGE, WINDOW};

#[test]
fn a_breakpoint_set_before_the_mmu_is_on_waits_in_a_register_and_moves_into_memory() {
    let mut guest = Guest::start();
    let all = guest.free_registers();

    guest.plant(WINDOW);
    assert_eq!(guest.free_registers(), all - 1);
    guest.run("mmu_on", &[]);
    assert_eq!(guest.free_registers(), all - 1);
    guest.map(WINDOW, guest.page_a);

    assert_eq!(guest.free_registers(), all);
    assert_eq!(guest.found(), ["brk", "sub"]);
    assert_eq!(guest.read(), ["add", "sub"]);
    assert_eq!(guest.result_through_breakpoint(WINDOW), 9);
    guest.remove(WINDOW);
    assert_eq!(guest.found(), ["add", "sub"]);
    assert_eq!(guest.result(WINDOW), 9);
}

#[test]
fn a_breakpoint_in_a_register_is_hit_where_the_guest_maps_and_runs_without_a_stop_between() {
    let mut guest = Guest::start_with_mmu();
    guest.plant(WINDOW);
    let descriptor = guest.routines.at("high_3");
    let map = guest.routines.at("map");

    // From `map` straight to what it mapped.
    guest.routines.rsp.set_register(0, descriptor);
    guest.routines.rsp.set_register(1, guest.page_a | PAGE);
    guest.routines.rsp.set_register(30, WINDOW);
    guest.routines.rsp.set_register(32, map);
    let stop = guest.routines.rsp.resume("vCont;c");

    assert_eq!((stop.field("swbreak"), stop.pc()), (Some(""), WINDOW), "{}", stop.text);
    guest.remove(WINDOW);
    assert_eq!(guest.found(), ["add", "sub"]);
}

#[test]
fn a_breakpoint_goes_where_its_address_is_mapped_to_and_leaves_nothing_behind() {
    let mut guest = Guest::start_with_mmu();
    let all = guest.free_registers();
    guest.map(WINDOW, guest.page_a);
    guest.plant(WINDOW);
    assert_eq!(guest.found(), ["brk", "sub"]);

    // The page is another's now.
    guest.map(WINDOW, guest.page_b);
    assert_eq!(guest.found(), ["add", "brk"]);
    assert_eq!(guest.read(), ["add", "sub"]);
    assert_eq!(guest.result_through_breakpoint(WINDOW), 3);

    // Unmapped: a module is unloaded.
    guest.unmap(WINDOW);
    assert_eq!(guest.found(), ["add", "sub"]);
    assert_eq!(guest.free_registers(), all - 1);

    // And mapped once more.
    guest.map(WINDOW, guest.page_a);
    assert_eq!(guest.free_registers(), all);
    assert_eq!(guest.found(), ["brk", "sub"]);
    assert_eq!(guest.result_through_breakpoint(WINDOW), 9);
    guest.remove(WINDOW);
    assert_eq!(guest.found(), ["add", "sub"]);
}

#[test]
fn text_that_the_guest_patches_under_a_breakpoint_is_never_undone() {
    let mut guest = Guest::start_with_mmu();
    guest.map(WINDOW, guest.page_a);
    guest.plant(WINDOW);

    // By the address that the breakpoint has: planted again, over the new instruction.
    guest.run("patch", &[WINDOW, AND]);
    assert_eq!(guest.found(), ["brk", "sub"]);
    assert_eq!(guest.read(), ["and", "sub"]);
    assert_eq!(guest.result_through_breakpoint(WINDOW), 2);

    // By another address.
    guest.run("patch", &[guest.page_a, EOR]);
    assert_eq!(guest.found(), ["brk", "sub"]);
    assert_eq!(guest.result_through_breakpoint(WINDOW), 5);

    // And removed.
    guest.run("patch", &[WINDOW, ORR]);
    guest.remove(WINDOW);
    assert_eq!(guest.found(), ["orr", "sub"]);
    assert_eq!(guest.result(WINDOW), 7);

    // Patched while its page is no longer that of the breakpoint.
    guest.plant(WINDOW);
    guest.map(WINDOW, guest.page_b);
    guest.run("patch", &[guest.page_a, ADD]);
    guest.map(WINDOW, guest.page_a);
    assert_eq!(guest.found(), ["brk", "sub"]);
    assert_eq!(guest.result_through_breakpoint(WINDOW), 9);
}

#[test]
fn a_breakpoint_that_the_guest_has_copied_with_its_page_is_not_taken_for_the_pages_text() {
    let mut guest = Guest::start_with_mmu();
    guest.map(WINDOW, guest.page_a);
    guest.plant(WINDOW);

    // As a kernel moves a page: copy it, map the copy.
    guest.run("copy", &[guest.page_b, guest.page_a]);
    guest.map(WINDOW, guest.page_b);

    assert_eq!(guest.found(), ["add", "brk"]);
    assert_eq!(guest.read(), ["add", "add"]);
    assert_eq!(guest.result_through_breakpoint(WINDOW), 9);
    guest.remove(WINDOW);
    assert_eq!(guest.found(), ["add", "add"]);
}

#[test]
fn a_breakpoint_is_not_noticed_through_another_mapping_of_the_same_memory() {
    let mut guest = Guest::start_with_mmu();
    guest.map(WINDOW, guest.page_a);
    guest.map(ALIAS, guest.page_a);
    guest.plant(WINDOW);

    assert_eq!(guest.result(ALIAS), 9);
    assert_eq!(guest.result(guest.page_a), 9);
    assert_eq!(guest.result_through_breakpoint(WINDOW), 9);
    assert_eq!(guest.found(), ["brk", "sub"]);

    // Nor by a step.
    guest.routines.rsp.set_register(32, ALIAS);
    let stop = guest.routines.rsp.resume("vCont;s");
    assert_eq!((stop.field("swbreak"), stop.pc()), (None, ALIAS + 4), "{}", stop.text);
    assert_eq!(guest.found(), ["brk", "sub"]);
}

#[test]
fn breakpoints_at_two_mappings_of_the_same_memory_go_in_either_order() {
    let mut guest = Guest::start_with_mmu();
    guest.map(WINDOW, guest.page_a);
    guest.map(ALIAS, guest.page_a);
    for [first, second] in [[WINDOW, ALIAS], [ALIAS, WINDOW]] {
        guest.plant(WINDOW);
        guest.plant(ALIAS);
        assert_eq!(guest.result_through_breakpoint(first), 9);
        assert_eq!(guest.result_through_breakpoint(second), 9);

        guest.remove(first);
        assert_eq!(guest.result(first), 9);
        assert_eq!(guest.result_through_breakpoint(second), 9);

        guest.remove(second);
        assert_eq!(guest.found(), ["add", "sub"]);
        assert_eq!(guest.result(second), 9);
    }

    // One of them leads elsewhere: each its own.
    guest.plant(WINDOW);
    guest.plant(ALIAS);
    guest.map(ALIAS, guest.page_b);
    assert_eq!(guest.found(), ["brk", "brk"]);
    assert_eq!(guest.result_through_breakpoint(ALIAS), 3);
    assert_eq!(guest.result_through_breakpoint(WINDOW), 9);
    guest.remove(WINDOW);
    assert_eq!(guest.found(), ["add", "brk"]);
    guest.remove(ALIAS);
    assert_eq!(guest.found(), ["add", "sub"]);
}

#[test]
fn without_a_mapping_and_without_a_register_the_error_says_both() {
    let mut guest = Guest::start_with_mmu();
    guest.plant(ALIAS);
    let all = guest.fill_registers() + 1;

    let refusal = guest.routines.rsp.ask(&format!("Z0,{WINDOW:x},4"));

    assert!(refusal.starts_with("E."), "{refusal}");
    assert!(refusal.contains("not mapped"), "{refusal}");
    assert!(refusal.contains(&format!("all {all} hardware breakpoints")), "{refusal}");
    // Nothing is left of it.
    guest.empty_registers(all - 1);
    guest.map(WINDOW, guest.page_a);
    assert_eq!(guest.found(), ["add", "sub"]);
    assert_eq!(guest.result(WINDOW), 9);
}

#[test]
fn a_breakpoint_that_lost_its_mapping_and_finds_no_register_is_back_with_its_mapping() {
    let mut guest = Guest::start_with_mmu();
    guest.map(WINDOW, guest.page_a);
    guest.plant(WINDOW);
    let all = guest.fill_registers();

    guest.unmap(WINDOW);
    assert_eq!(guest.found(), ["add", "sub"]);
    guest.map(WINDOW, guest.page_b);
    assert_eq!(guest.found(), ["add", "brk"]);
    assert_eq!(guest.result_through_breakpoint(WINDOW), 3);

    // The next time there is a register for it.
    guest.unmap(WINDOW);
    guest.empty_registers(all);
    guest.run("load", &[guest.page_a]);
    assert_eq!(guest.free_registers(), all - 1);
    guest.remove(WINDOW);
    assert_eq!(guest.free_registers(), all);
}

#[test]
fn a_breakpoint_belongs_to_the_address_space_that_it_was_set_in() {
    let mut guest = Guest::start_with_mmu();
    let [space_a, space_b] = ["space_a", "space_b"].map(|symbol| guest.routines.at(symbol));
    guest.map_lower("low_a_3", guest.page_a);
    guest.map_lower("low_b_3", guest.page_b);
    guest.plant(LOWER);
    assert_eq!(guest.result_through_breakpoint(LOWER), 9);

    // It stays where it is, and the other space has none.
    guest.run("switch", &[space_b]);
    assert_eq!(guest.found(), ["brk", "sub"]);
    assert_eq!(guest.result(LOWER), 3);

    // Mapped elsewhere meanwhile: it follows when its space is back.
    guest.map_lower("low_a_3", guest.page_b);
    guest.run("switch", &[space_a]);
    assert_eq!(guest.found(), ["add", "brk"]);
    assert_eq!(guest.result_through_breakpoint(LOWER), 3);

    // Removed from the other one.
    guest.run("switch", &[space_b]);
    guest.remove(LOWER);
    assert_eq!(guest.found(), ["add", "sub"]);
}

#[test]
fn a_page_that_is_patched_while_its_address_space_is_away_keeps_the_patch() {
    let mut guest = Guest::start_with_mmu();
    let [space_a, space_b] = ["space_a", "space_b"].map(|symbol| guest.routines.at(symbol));
    guest.map_lower("low_a_3", guest.page_a);
    guest.map_lower("low_b_3", guest.page_b);
    guest.plant(LOWER);

    guest.run("switch", &[space_b]);
    guest.run("patch", &[guest.page_a, EOR]);
    assert_eq!(guest.read(), ["eor", "sub"]);
    // There the address is somebody else's, and is not stopped at.
    assert_eq!(guest.result(LOWER), 3);

    guest.run("switch", &[space_a]);
    assert_eq!(guest.found(), ["brk", "sub"]);
    assert_eq!(guest.result_through_breakpoint(LOWER), 5);
    guest.remove(LOWER);
    assert_eq!(guest.found(), ["eor", "sub"]);
}

#[test]
fn what_the_debugger_writes_into_text_that_has_run_is_what_runs_next() {
    // The emulated host has no instruction cache that could be stale: this shows that the bytes arrive, and not that the engine's
    // cache maintenance is right.
    let mut guest = Guest::start_with_mmu();
    guest.map(WINDOW, guest.page_a);
    assert_eq!(guest.result(WINDOW), 9);
    let page_a = guest.page_a;

    // M and X, by the page's flat address and by the one it is mapped at; with a breakpoint on it, and without.
    for is_planted in [false, true] {
        if is_planted {
            guest.plant(WINDOW);
        }
        for (packet, result) in [
            (format!("M{WINDOW:x},4:0000010a"), 2),
            (format!("X{WINDOW:x},4:\0\0\x01J"), 5),
            (format!("M{page_a:x},4:0000012a"), 7),
            (format!("X{page_a:x},4:\0\0\x01\x0b"), 9),
        ] {
            guest.routines.rsp.order(&packet);
            let found = if is_planted {
                guest.result_through_breakpoint(WINDOW)
            } else {
                guest.result(WINDOW)
            };
            assert_eq!(found, result, "{packet:?}");
        }
    }
    guest.remove(WINDOW);
    assert_eq!(guest.found(), ["add", "sub"]);
}
