import { z } from "zod";

const EXPECTED = 'a region name such as "ap-guangzhou"';

/** The name of a region where workers run, as Tencent Cloud writes it. */
export const regionName = z.string(EXPECTED).regex(/^[a-z]{2,8}(-[a-z0-9]{1,20}){1,3}$/, EXPECTED);
