/**
 * Every word the dashboard shows, in one typed catalogue. Screens read
 * `t.area.key`; a text with values in it is a function. A translation is
 * another object of the type `Catalogue`.
 */
import { activity } from "./strings/activity";
import { authorities } from "./strings/authorities";
import { certificateState } from "./strings/certificates";
import { common } from "./strings/common";
import { domains } from "./strings/domains";
import { fleet } from "./strings/fleet";
import { leftovers } from "./strings/leftovers";
import { names } from "./strings/names";
import { overview } from "./strings/overview";
import { providers } from "./strings/providers";
import { settings } from "./strings/settings";
import { shell } from "./strings/shell";
import { states } from "./strings/states";
import { zones } from "./strings/zones";
import { zoneTransfers } from "./strings/zonetransfers";

export const t = {
  ...common,
  ...shell,
  ...states,
  ...overview,
  ...domains,
  ...names,
  ...zones,
  ...zoneTransfers,
  ...certificateState,
  ...authorities,
  ...fleet,
  ...activity,
  ...settings,
  ...providers,
  ...leftovers,
};

export type Catalogue = typeof t;
