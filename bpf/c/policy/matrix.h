/* SPDX-License-Identifier: (GPL-2.0 OR MIT) */
/* The policy matrix: (subject, peer, port class) to cell. */
#ifndef BAILEY_POLICY_MATRIX_H
#define BAILEY_POLICY_MATRIX_H

#include "policy/chunks.h"

ARRAY(subject_pages, struct u32_chunk, 1);
ARRAY(row_pages, struct page, 1);
ARRAY(row_index, struct u32_chunk, 1);
ARRAY(cell_pages, struct page, 1);
ARRAY(cells, struct u32_chunk, 1);

/* Set when a generation is loaded. */
volatile const __u32 PEER_PAGES = 1; /* pages per subject */
/* Cells per row, 0: rows are stored in pages. */
volatile const __u32 ROW_CELLS = 0;
volatile const __u32 PORT_PAGES = 1; /* pages per row, if ROW_CELLS is 0 */

/* The cell of a subject for this peer and port class; false if a table is
 * damaged. */
static __always_inline bool cell_at(__u32 subject, __u32 peer, __u32 port,
				    __u32 *cell)
{
	struct page *rows, *page;
	__u32 at, row;

	if (!u32_at(&subject_pages, subject * PEER_PAGES + peer / PAGE_CELLS,
		    &at))
		return false;
	rows = bpf_map_lookup_elem(&row_pages, &at);
	if (!rows)
		return false;
	row = rows->v[peer & (PAGE_CELLS - 1)];
	if (ROW_CELLS)
		return u32_at(&cells, row * ROW_CELLS + port, cell);
	if (!u32_at(&row_index, row * PORT_PAGES + port / PAGE_CELLS, &at))
		return false;
	page = bpf_map_lookup_elem(&cell_pages, &at);
	if (!page)
		return false;
	*cell = page->v[port & (PAGE_CELLS - 1)];
	return true;
}

#endif
