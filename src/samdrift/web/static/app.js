// What script adds to pages that are whole without it. Each part looks for its own marks in the page.
// What only a page with files needs is in upload.js, which that page names itself.

import { askBeforeLeaving } from "./leaving.js";
import { closeMenus } from "./menus.js";
import { countDown } from "./countdown.js";
import { saveDrafts } from "./draft.js";
import { gatherFiles } from "./files.js";
import { pressByKeys } from "./keys.js";
import { followChanges } from "./live.js";
import { goOn, sendOnce } from "./once.js";
import { watchSession } from "./session.js";
import { suggest } from "./suggest.js";

askBeforeLeaving(document);
closeMenus(document);
countDown(document);
followChanges(document);
gatherFiles(document);
goOn(document);
saveDrafts(document);
pressByKeys(document);
sendOnce(document);
suggest(document);
watchSession(document);
