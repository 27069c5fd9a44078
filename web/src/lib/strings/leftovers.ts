/** Records at DNS providers that are not wanted any more and are there still. */
export const leftovers = {
  leftovers: {
    title: "Records still at providers",
    window: "set for domains that were removed, or have their records set otherwise now",
    of: (domain: string, account: string) => `records of ${domain} at ${account}`,
    at: (account: string) => `at ${account}`,
    since: "Not wanted any more:",
    attempts: (n: number) => (n === 0 ? "Not tried yet" : n === 1 ? "Tried once" : `Tried ${n} times`),
    next: "Next attempt:",
    ends: "Ends, and the records stay:",
    records: (n: number) => (n === 1 ? "1 record that would go" : `${n} records that would go`),
    remove: "Remove",
    tryNow: "Remove now",
    leave: "Leave there",
    reasons: {
      Removing: { label: "Being removed", text: "" },
      NeedsConsent: {
        label: "Waits for your consent",
        text: "Removing them would take away much of the zone. Look at the records, then remove them or leave them there.",
      },
      ProviderAway: {
        label: "Provider away",
        text: "The provider does not answer, or asks to wait. It is tried again by itself.",
      },
      Refused: {
        label: "Refused",
        text: "The provider did not let us remove them. Test the credentials above, and replace them if they are refused too.",
      },
      TakenOver: {
        label: "Waits for another change",
        text: "",
      },
    } as Record<string, { label: string; text: string } | undefined>,
    dialogs: {
      remove: {
        title: "Remove records at the provider",
        text: (domain: string, account: string) =>
          `The records that were set for ${domain} are removed at ${account} now, even if they are much of the zone. Others are not touched.`,
        confirm: "Remove the records",
        done: (domain: string) => `The records of ${domain} are being removed`,
      },
      leave: {
        title: "Leave records at the provider",
        text: (domain: string, account: string) =>
          `The records that were set for ${domain} stay at ${account} as they are. Edgewright forgets them: from then on they are yours to remove.`,
        confirm: "Leave them there",
        done: (domain: string) => `The records of ${domain} stay where they are`,
      },
    },
    notice: (n: number) =>
      n === 1
        ? "Records of 1 domain are still at their DNS provider."
        : `Records of ${n} domains are still at their DNS providers.`,
    noticeText: "They are not wanted any more, and could not be removed yet.",
    see: "See why",
  },
};
