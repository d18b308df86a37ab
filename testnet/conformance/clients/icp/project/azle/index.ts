import { IDL, msgCaller, query, StableBTreeMap, update } from 'azle';

/// Names that people gave, in stable memory.
export default class {
    names = new StableBTreeMap<string, string>(0);

    @update([IDL.Text, IDL.Text], IDL.Nat64)
    put(name: string, value: string): bigint {
        this.names.insert(name, value);
        return BigInt(this.names.len());
    }

    @query([IDL.Text], IDL.Opt(IDL.Text))
    get(name: string): [string] | [] {
        const value = this.names.get(name);
        return value === undefined ? [] : [value];
    }

    @query([], IDL.Text)
    whoami(): string {
        return msgCaller().toText();
    }
}
