/** The API's states in words. */
export const states = {
  states: {
    domain: {
      pending_verification: "Waiting for proof",
      issuing: "Getting certificate",
      active: "Active",
      error: "Needs attention",
    },
    certificate: {
      none: "None",
      issuing: "Issuing",
      valid: "Valid",
      expiring: "Expires soon",
      expired: "Expired",
      failed: "Failed",
      external: "External",
    },
    edge: { online: "Online", offline: "Offline", draining: "Draining" },
    verification: { verified: "Verified", pending: "Waiting for proof", not_required: "Not needed" },
  },
};
