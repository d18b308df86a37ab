use super::*;

const GIB: u64 = 1 << 30;

#[test]
fn thirteen_nodes_ask_the_reference_prices() {
    let tariff = Tariff::for_nodes(13);
    for (resource, quantity, cycles) in [
        (Resource::Execution, 1, 5_000_000),
        (Resource::Instructions, 1_000, 1_000),
        (Resource::IngressMessages, 1, 1_200_000),
        (Resource::IngressBytes, 3, 6_000),
        (Resource::CallMessages, 1, 260_000),
        (Resource::CallBytes, 3, 3_000),
        (Resource::StorageByteSeconds, u128::from(GIB), 127_000),
        (Resource::CanisterCreation, 1, 500_000_000_000),
        (Resource::ComputeAllocation, 1, 10_000_000),
    ] {
        assert_eq!(tariff.cost(resource, quantity), Cycles(cycles), "{resource}");
    }
}

#[test]
fn four_nodes_ask_four_thirteenths() {
    let tariff = Tariff::for_nodes(4);
    assert_eq!(tariff.cost(Resource::Instructions, 13), Cycles(4));
    assert_eq!(tariff.cost(Resource::CanisterCreation, 13), Cycles(4 * 500_000_000_000));
}

#[test]
fn a_quote_is_never_below_the_charge_and_at_most_a_cycle_above() {
    for nodes in [1, 4, 7, 13, 40] {
        let tariff = Tariff::for_nodes(nodes);
        for resource in Resource::ALL {
            let price = tariff.price(resource);
            for quantity in [0, 1, 2, 12, 13, 14, 1_000_003] {
                for carry in [0, 1, price.denominator / 2, price.denominator - 1] {
                    let (charge, left) = price.apply(quantity, carry).unwrap();
                    let quote = tariff.cost(resource, quantity).get();
                    assert!(charge <= quote && quote <= charge + 1, "{resource} {quantity} {carry}");
                    assert!(left < price.denominator);
                }
            }
        }
    }
}

#[test]
fn a_quantity_that_cannot_be_priced_costs_everything() {
    assert_eq!(Tariff::for_nodes(4).cost(Resource::Execution, u128::MAX), Cycles::MAX);
    let idle = Tariff::for_nodes(4).freezing_limit(u64::MAX, u64::MAX, u64::MAX);
    assert_eq!(idle, Cycles::MAX);
}

#[test]
fn the_freezing_limit_is_the_idle_cost_of_the_threshold() {
    let tariff = Tariff::for_nodes(13);
    let month = 30 * DAY_SECONDS;
    assert_eq!(tariff.idle_cost_per_day(GIB, 0), Cycles(127_000 * 86_400));
    assert_eq!(tariff.freezing_limit(GIB, 0, month), Cycles(127_000 * 86_400 * 30));
    assert_eq!(tariff.freezing_limit(0, 1, 60), Cycles(600_000_000));
    assert_eq!(tariff.freezing_limit(GIB, 0, 0), Cycles::ZERO);
}

#[test]
fn a_table_that_contradicts_itself_is_refused() {
    assert_eq!(Tariff::for_nodes(4).validate(), Ok(()));
    assert!(Tariff { nodes: 0, ..Tariff::for_nodes(4) }.validate().is_err());
    assert!(Tariff { reserve_share: u32::MAX, commons_share: u32::MAX, ..Tariff::for_nodes(4) }.validate().is_err());
}

#[test]
fn resources_are_listed_by_their_index_and_known_by_their_name() {
    for (index, resource) in Resource::ALL.into_iter().enumerate() {
        assert_eq!(resource.index(), index);
        assert_eq!(Resource::from_name(resource.name()), Some(resource));
        assert_eq!(serde_json::to_string(&resource).unwrap(), format!("\"{}\"", resource.name()));
    }
    assert_eq!(Resource::from_name("gas"), None);
}

#[test]
fn a_tariff_survives_the_round_trip_and_nothing_else_decodes() {
    let mut tariff = Tariff { version: 7, effective_height: Height(9), epoch_seconds: 11, ..Tariff::for_nodes(13) };
    tariff.reference[3] = u64::MAX;
    let bytes = tariff.encode();
    assert_eq!(Tariff::decode(&bytes), Some(tariff));
    assert_eq!(Tariff::decode(&bytes[1..]), None);
    assert_eq!(Tariff::decode(&[&bytes[..], &[0]].concat()), None);
}
