//! Stable memory by both sets of functions, the heap, and limits of instructions.

use anyhow::ensure;
use mains_conformance::{
    Cases, manage,
    script::{Bytes, Function as F, Number, Script, ask, operations as op, system, words::*, written},
    world::{number, rejects, replies, same},
};

/// What a `grow` answers that fails, in 32 and in 64 bits.
const FAILED: [u64; 2] = [u32::MAX as u64, u64::MAX];

pub(super) fn add(c: &mut Cases) {
    stable(c);
    heap(c);
    instructions(c);
}

/// The functions of one width.
#[derive(Clone, Copy)]
struct Width {
    name: &'static str,
    size: F,
    grow: F,
    read: F,
    write: F,
    failed: u64,
}

const WIDTHS: [Width; 2] = [
    Width {
        name: "stable_*",
        size: F::stable_size,
        grow: F::stable_grow,
        read: F::stable_read,
        write: F::stable_write,
        failed: FAILED[0],
    },
    Width {
        name: "stable64_*",
        size: F::stable64_size,
        grow: F::stable64_grow,
        read: F::stable64_read,
        write: F::stable64_write,
        failed: FAILED[1],
    },
];

impl Width {
    fn size(self) -> Number {
        ask(self.size, [])
    }

    fn grow(self, pages: u64) -> Number {
        ask(self.grow, [pages.into()])
    }

    fn read(self, offset: u64, count: u64) -> Bytes {
        written(self.read, count, |place| [place.into(), offset.into(), count.into()])
    }

    fn write(self, offset: u64, bytes: impl Into<Bytes>) -> Script {
        system(self.write, [offset.into(), bytes.into().into()])
    }
}

fn stable(c: &mut Cases) {
    c.group("stable memory");
    for width in WIDTHS {
        let rule = |text: &str| format!("{}: {text}", width.name);
        c.case(rule("empty at first, grown by pages, the former size is answered"), move |w| async move {
            let a = w.canister().await?;
            let script = append(width.size().bytes(1))
                + append(width.grow(1).bytes(1))
                + append(width.grow(0).bytes(1))
                + append(width.grow(2).bytes(1))
                + append(width.size().bytes(1))
                + answer();
            same(a.get(script).await?, [0, 0, 1, 1, 3])?;
            same(a.look(reply(width.size().bytes(1))).await?, [3])
        });
        c.case(rule("zeros where nothing was written; what is written is read, by others too"), move |w| async move {
            let a = w.canister_that(ignore(width.grow(2))).await?;
            same(a.look(reply(width.read(65_530, 12))).await?, [0; 12])?;
            a.get(width.write(65_533, "across") + reply("")).await?;
            same(a.look(reply(width.read(65_530, 12))).await?, b"\0\0\0across\0\0\0")
        });
        c.case(rule("the last byte can be written, the one behind it cannot"), move |w| async move {
            let a = w.canister_that(ignore(width.grow(1))).await?;
            a.get(width.write(65_535, "x") + reply("")).await?;
            same(a.look(reply(width.read(65_535, 1))).await?, "x")?;
            for script in [width.write(65_536, "x"), width.write(65_535, "xy"), forget(width.read(65_536, 1))] {
                rejects(&a.update(script + reply("")).await?, 5, "stable memory")?;
            }
            rejects(&a.query(reply(width.read(65_530, 7))).await?, 5, "stable memory")
        });
        c.case(rule("nothing is read and written at the end, and beyond it not even that"), move |w| async move {
            let a = w.canister_that(ignore(width.grow(1))).await?;
            replies(&a.query(width.write(65_536, "") + reply("fine")).await?, "fine")?;
            rejects(&a.query(width.write(65_537, "") + reply("")).await?, 5, "stable memory")?;
            rejects(&a.query(forget(width.read(65_537, 0)) + reply("")).await?, 5, "stable memory")
        });
        c.case(rule("offsets and sizes that overflow trap"), move |w| async move {
            let a = w.canister_that(ignore(width.grow(1))).await?;
            let max = width.failed;
            for script in [
                system(width.read, [0.into(), max.into(), 2.into()]),
                system(width.read, [0.into(), 1.into(), max.into()]),
                system(width.write, [max.into(), 0.into(), 1.into()]),
                system(width.write, [0.into(), 0.into(), max.into()]),
            ] {
                rejects(&a.query(script + reply("")).await?, 5, "")?;
            }
            Ok(())
        });
        c.case(rule("places beyond the heap trap"), move |w| async move {
            let a = w.canister_that(ignore(width.grow(1))).await?;
            for script in [
                system(width.read, [0xffff_ff00.into(), 0.into(), 100.into()]),
                system(width.write, [0.into(), 0xffff_ff00.into(), 100.into()]),
            ] {
                rejects(&a.query(script + reply("")).await?, 5, "out of bounds")?;
            }
            Ok(())
        });
        c.case(rule("growing too far answers all ones and changes nothing"), move |w| async move {
            let a = w.canister_that(ignore(width.grow(1))).await?;
            let much = width.failed - 1;
            let script = append(width.grow(much).bytes(8)) + append(width.size().bytes(1)) + answer();
            let got = a.look(script).await?;
            ensure!(number(&got[..8])? == width.failed, "expected all ones, got {}", number(&got[..8])?);
            same(&got[8..], [1])
        });
        c.case(rule("a trap undoes writing and growing"), move |w| async move {
            let a = w.canister_that(ignore(width.grow(1)) + width.write(0, "old")).await?;
            rejects(&a.update(ignore(width.grow(5)) + width.write(0, "new") + trap("x")).await?, 5, "x")?;
            same(a.look(append(width.size().bytes(1)) + append(width.read(0, 3)) + answer()).await?, b"\x01old")
        });
    }
    c.case("both sets of functions see the same memory", |w| async move {
        let [narrow, wide] = WIDTHS;
        let a = w.canister_that(ignore(narrow.grow(1)) + narrow.write(7, "narrow")).await?;
        same(a.look(reply(wide.read(7, 6))).await?, "narrow")?;
        a.get(ignore(wide.grow(1)) + wide.write(70_000, "wide") + reply("")).await?;
        same(a.look(append(narrow.size().bytes(1)) + append(narrow.read(70_000, 4)) + answer()).await?, b"\x02wide")
    });
    c.case("beyond 4 GiB the 64-bit functions serve, and the 32-bit ones trap", |w| async move {
        let [narrow, wide] = WIDTHS;
        let a = w.canister_that(ignore(wide.grow(65_537)) + wide.write(1 << 32, "far")).await?;
        same(a.look(reply(wide.read(1 << 32, 3))).await?, "far")?;
        for script in [ignore(narrow.size()), ignore(narrow.grow(0)), forget(narrow.read(0, 1)), narrow.write(0, "x")] {
            rejects(&a.query(script + reply("")).await?, 5, "")?;
        }
        Ok(())
    });
    c.case("exactly 4 GiB: the 32-bit functions still serve", |w| async move {
        let [narrow, _] = WIDTHS;
        let a = w.canister_that(ignore(narrow.grow(65_536))).await?;
        same(a.look(reply(narrow.size().bytes(4))).await?, 65_536u32.to_le_bytes())?;
        let grown = number(&a.look(reply_number(narrow.grow(1))).await?)?;
        ensure!(grown == FAILED[0], "expected all ones, got {grown}");
        a.get(narrow.write(u64::from(u32::MAX), "z") + reply("")).await?;
        same(a.look(reply(narrow.read(u64::from(u32::MAX), 1))).await?, "z")
    });
    c.case("no more than the protocol's limit", |w| async move {
        let most = mains_types::limits::STABLE_BYTES_MAX / 65_536;
        let a = w.canister().await?;
        let script = append(stable_grow(most + 1).bytes(8)) + append(stable_grow(most).bytes(8)) + answer();
        let got = a.look(script).await?;
        ensure!(number(&got[..8])? == u64::MAX && number(&got[8..])? == 0, "got {}", hex::encode(got));
        Ok(())
    });
}

fn heap(c: &mut Cases) {
    c.group("heap");
    c.case("memory.grow answers the former size", |w| async move {
        let a = w.canister().await?;
        let got = a.look(append(grow(1).bytes(8)) + append(grow(0).bytes(8)) + answer()).await?;
        ensure!(number(&got[8..])? == number(&got[..8])? + 1, "got {}", hex::encode(got));
        Ok(())
    });
    c.case("no more than 4 GiB", |w| async move {
        let a = w.canister().await?;
        let got = number(&a.look(reply(grow(65_536).bytes(8))).await?)?;
        ensure!(got == FAILED[0], "expected all ones, got {got}");
        Ok(())
    });
    c.case("a trap undoes growing", |w| async move {
        let a = w.canister().await?;
        let size = async || number(&a.look(reply_number(grow(0))).await?);
        let before = size().await?;
        rejects(&a.update(ignore(grow(10)) + trap("x")).await?, 5, "x")?;
        ensure!(size().await? == before, "expected {before} pages, got {}", size().await?);
        a.get(ignore(grow(10)) + reply("")).await?;
        ensure!(size().await? >= before + 10, "expected at least {} pages, got {}", before + 10, size().await?);
        Ok(())
    });
    c.case("the status tells how much heap and stable memory there is", |w| async move {
        let a = w.canister_that(ignore(stable_grow(3))).await?;
        let metrics = a.status().await?.memory_metrics;
        ensure!(metrics.stable_memory_size == 3u64 * 65_536, "got {}", metrics.stable_memory_size);
        let pages = number(&a.look(reply_number(grow(0))).await?)?;
        ensure!(
            metrics.wasm_memory_size <= pages * 65_536 && metrics.wasm_memory_size > 0u8,
            "got {}",
            metrics.wasm_memory_size
        );
        Ok(())
    });
}

fn instructions(c: &mut Cases) {
    c.group("instructions");
    c.case("an update that never ends is stopped and undone", |w| async move {
        let a = w.canister().await?;
        rejects(&a.update(keep("undone") + fault(op::ENDLESS_LOOP)).await?, 5, "instructions")?;
        same(a.look(reply(kept())).await?, "")
    });
    c.case("performance_counter 0 grows with the work and begins anew in each message", |w| async move {
        let a = w.canister().await?;
        let counter = || ask(F::performance_counter, [0.into()]);
        let got = a.get(append(counter().bytes(8)) + spin(1_000_000) + append(counter().bytes(8)) + answer()).await?;
        let (before, after) = (number(&got[..8])?, number(&got[8..])?);
        ensure!(after > before + 1_000_000, "expected more than {before} + 1000000, got {after}");
        let again = number(&a.get(reply_number(counter())).await?)?;
        ensure!(again < 1_000_000, "expected a new count, got {again}");
        Ok(())
    });
    c.case("performance_counter counts the same every time", |w| async move {
        let a = w.canister().await?;
        let script = || spin(10_000) + reply_number(ask(F::performance_counter, [0.into()]));
        let (one, two) = (a.look(script()).await?, a.look(script()).await?);
        same(one, two)
    });
    c.case("performance_counter 1 goes on through the callbacks of a call", |w| async move {
        use mains_conformance::script::Call;
        let a = w.canister().await?;
        let counters = || {
            append(ask(F::performance_counter, [0.into()]).bytes(8))
                + append(ask(F::performance_counter, [1.into()]).bytes(8))
                + answer()
        };
        let script =
            spin(1_000_000) + Call::to(myself()).method("query").argument(reply("")).on_reply(counters()).send();
        let got = a.get(script).await?;
        let (message, call) = (number(&got[..8])?, number(&got[8..])?);
        ensure!(message < 1_000_000 && call > 1_000_000 + message, "got {message} and {call}");
        let got = a.get(counters()).await?;
        ensure!(number(&got[8..])? - number(&got[..8])? < 100_000, "expected the same in the first message");
        Ok(())
    });
    c.case("performance_counter of an unknown type traps", |w| async move {
        let a = w.canister().await?;
        rejects(&a.query(reply_number(ask(F::performance_counter, [2.into()]))).await?, 5, "performance_counter")
    });
    c.case("in init and in upgrades too", |w| async move {
        let a = w.canister_that(keep(ask(F::performance_counter, [0.into()]).bytes(8))).await?;
        ensure!(number(&a.look(reply(kept())).await?)? > 0, "expected a count");
        manage::done(a.upgrade(keep(ask(F::performance_counter, [1.into()]).bytes(8))).await?)?;
        ensure!(number(&a.look(reply(kept())).await?)? > 0, "expected a count");
        Ok(())
    });
}
